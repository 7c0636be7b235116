// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/** The events of JDK Flight Recorder, where this runtime has it. */
final class FlightRecorder {
    private static final boolean AVAILABLE = isAvailable();

    private FlightRecorder() {}

    private static boolean isAvailable() {
        try {
            return jdk.jfr.FlightRecorder.isAvailable();
        } catch (LinkageError e) {
            // A runtime without the module jdk.jfr.
            return false;
        }
    }

    /** Never committed: asked whether events are recorded, it spares making one to ask. */
    private static final class Probe {
        static final ClipRecord EVENT = new ClipRecord();
    }

    /** Where nobody has recorded yet no event is made: the first takes JDK Flight Recorder 200 ms to start, in a first clip of 14. */
    static boolean isRecording() {
        return AVAILABLE && jdk.jfr.FlightRecorder.isInitialized() && Probe.EVENT.isEnabled();
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
