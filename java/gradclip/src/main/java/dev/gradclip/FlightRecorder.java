// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/** The events of JDK Flight Recorder, where this runtime has it. */
final class FlightRecorder {
    private static final @Nullable FlightRecorder INSTANCE = load();

    /** Never committed: asked whether events are recorded, it spares making one to ask. */
    private final ClipRecord probe = new ClipRecord();

    private static @Nullable FlightRecorder load() {
        try {
            return new FlightRecorder();
        } catch (LinkageError e) {
            // A runtime without the module jdk.jfr.
            return null;
        }
    }

    static boolean isRecording() {
        return INSTANCE != null && INSTANCE.probe.isEnabled();
    }

    /** An event that begins now, or null where nobody records. */
    static @Nullable ClipRecord begin() {
        if (!isRecording()) return null;
        ClipRecord begun = new ClipRecord();
        begun.begin();
        return begun;
    }

    /** Writes an event; without a duration where none was begun. */
    static void commit(@Nullable ClipRecord begun, ClipEvent event, boolean async) {
        ClipRecord written = begun;
        if (written == null) {
            if (!isRecording()) return;
            written = new ClipRecord();
        }
        written.fill(event, async);
        written.commit();
    }
}
