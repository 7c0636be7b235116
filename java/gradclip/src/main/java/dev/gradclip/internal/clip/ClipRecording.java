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

/** Writes clips into a recording of JDK Flight Recorder, if this runtime has the module. */
public final class ClipRecording {
    private static final boolean AVAILABLE = isThere();

    private ClipRecording() {}

    /** Asks for no more: {@code FlightRecorder.isAvailable} loads classes that a first clip would wait for. */
    private static boolean isThere() {
        try {
            FlightRecorder.isInitialized();
            return true;
        } catch (LinkageError e) {
            // A runtime without the module jdk.jfr.
            return false;
        }
    }

    /**
     * The JFR event of one clip, which a recording has to switch on: {@code
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

        @Label("Skipped")
        boolean skipped;

        @Label("Threshold")
        double threshold;

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
            skipped = event.skipped();
            threshold = event.threshold();
            async = isAsync;
            StringJoiner norms = new StringJoiner(" ");
            event.groupNorms().forEach((group, groupNorm) -> norms.add(group + "=" + groupNorm));
            groupNorms = norms.toString();
        }
    }

    /** Holds one event that is never committed; asking it if events are recorded needs no new event. */
    private static final class Probe {
        static final Recorded EVENT = new Recorded();
    }

    /**
     * Returns true if a recording of clips is running. Makes no event before the first recording: the first event
     * starts JDK Flight Recorder, which took 200 ms in a first clip of 14 ms.
     */
    public static boolean isRecording() {
        return AVAILABLE && FlightRecorder.isInitialized() && Probe.EVENT.isEnabled();
    }

    /** Returns an event that begins now, or null if no recording wants it. */
    static @Nullable Recorded begin() {
        if (!isRecording()) return null;
        Recorded begun = new Recorded();
        begun.begin();
        return begun;
    }

    /** Writes the event that {@link #begin} returned, or a new one without a duration if that is null. */
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
