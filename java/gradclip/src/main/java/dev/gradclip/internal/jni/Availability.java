// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.jni;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The availability of a native library.
 *
 * @param available true if it can be used
 * @param reason the reason why it can or cannot be used
 * @param remedy the advice to the user if it cannot be used, else empty
 * @param details facts about the library, to be shown to users
 */
public record Availability(boolean available, String reason, String remedy, Map<String, String> details) {
    static Availability yes(String file, Map<String, String> details) {
        return new Availability(
                true, "loaded from " + file, "", Collections.unmodifiableMap(new LinkedHashMap<>(details)));
    }

    /** Returns the availability of a library that could not be loaded because of {@code e}. */
    static Availability no(Throwable e, String remedy) {
        Throwable cause = e instanceof ExceptionInInitializerError && e.getCause() != null ? e.getCause() : e;
        return no("the library could not be loaded: " + cause, remedy);
    }

    static Availability no(String reason, String remedy) {
        return new Availability(false, reason, remedy, Map.of());
    }
}
