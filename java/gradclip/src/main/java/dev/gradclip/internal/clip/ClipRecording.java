// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.clip;

import dev.gradclip.ClipEvent;
import java.util.StringJoiner;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** Clips in a recording of JDK Flight Recorder, where this runtime has it. */
public final class ClipRecording {
    private static final boolean AVAILABLE = isAvailable();

    private ClipRecording() {}

    private static boolean isAvailable() {
        try {
            return FlightRecorder.isAvailable();
        } catch (LinkageError e) {
            // A runtime without the module jdk.jfr.
            return false;
        }
    }

    /**
     * A clip in a recording; off unless the recording asks for it: {@code
     * -XX:StartFlightRecording:filename=clips.jfr,+dev.gradclip.Clip#enabled=true}.
     */
    @Name("dev.gradclip.Clip")
    @Label("Gradient Clip")
    @Category("Gradient Clipping")
    @Description("What one clip found and did; the duration is that of the call, and 0 of one enqueued on a device")
    @Enabled(false)
    @StackTrace(false)
    static final class Recorded extends Event {
        @Label("Step")
        long step;

        @Label("Norm")
        double norm;

        @Label("Coefficient")
        double coefficient;

        @Label("Clipped")
        boolean clipped;

        @Label("Non-Finite")
        boolean nonFinite;

        @Label("Enqueued")
        boolean async;

        @Label("Group Norms")
        String groupNorms = "";

        void fill(ClipEvent event, boolean isAsync) {
            step = event.step();
            norm = event.globalNorm();
            coefficient = event.coefficient();
            clipped = event.clipped();
            nonFinite = event.nonFinite();
            async = isAsync;
            StringJoiner norms = new StringJoiner(" ");
            event.groupNorms().forEach((group, groupNorm) -> norms.add(group + "=" + groupNorm));
            groupNorms = norms.toString();
        }
    }

    /** An event that is never committed: it is asked whether events are recorded, so that none is made to ask. */
    private static final class Probe {
        static final Recorded EVENT = new Recorded();
    }

    /**
     * Returns true if somebody records clips. Where nobody has recorded yet no event is made: the first takes JDK
     * Flight Recorder 200 ms to start, in a first clip of 14.
     */
    public static boolean isRecording() {
        return AVAILABLE && FlightRecorder.isInitialized() && Probe.EVENT.isEnabled();
    }

    /** An event that begins now, or null where nobody records. */
    static @Nullable Recorded begin() {
        if (!isRecording()) return null;
        Recorded begun = new Recorded();
        begun.begin();
        return begun;
    }

    /** Writes an event; without a duration where none was begun. */
    static void commit(@Nullable Recorded begun, ClipEvent event, boolean async) {
        Recorded written = begun;
        if (written == null) {
            if (!isRecording()) return;
            written = new Recorded();
        }
        written.fill(event, async);
        written.commit();
    }
}
