// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Whether a native library can be used.
 *
 * @param available whether it can
 * @param reason why it can, or cannot
 * @param remedy what to do where it cannot; else empty
 * @param details facts for people
 */
public record Availability(boolean available, String reason, String remedy, Map<String, String> details) {
    static Availability yes(String file, Map<String, String> details) {
        return new Availability(
                true, "loaded from " + file, "", Collections.unmodifiableMap(new LinkedHashMap<>(details)));
    }

    /** Where something was thrown while a library was loaded, by the JDK as it may be. */
    static Availability no(Throwable e, String remedy) {
        Throwable cause = e instanceof ExceptionInInitializerError && e.getCause() != null ? e.getCause() : e;
        return no("the library could not be loaded: " + cause, remedy);
    }

    static Availability no(String reason, String remedy) {
        return new Availability(false, reason, remedy, Map.of());
    }
}
