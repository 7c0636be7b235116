// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.StringJoiner;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * A clip in a recording of JDK Flight Recorder; off unless the recording asks for it: {@code
 * -XX:StartFlightRecording:filename=clips.jfr,+dev.gradclip.Clip#enabled=true}.
 */
@Name("dev.gradclip.Clip")
@Label("Gradient Clip")
@Category("Gradient Clipping")
@Description("What one clip found and did; the duration is that of the call, and 0 of one enqueued on a device")
@Enabled(false)
@StackTrace(false)
final class ClipRecord extends Event {
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
        norm = event.norm();
        coefficient = event.coefficient();
        clipped = event.clipped();
        nonFinite = event.nonFinite();
        async = isAsync;
        StringJoiner norms = new StringJoiner(" ");
        event.groupNorms().forEach((group, groupNorm) -> norms.add(group + "=" + groupNorm));
        groupNorms = norms.toString();
    }
}
