// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.tensorflow;

import dev.gradclip.ClipResult;
import java.util.List;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.types.family.TType;

/** The clipped gradients of one step, until they are closed. */
public final class ClippedGradients implements AutoCloseable {
    private final Result fetched;
    private final ClipResult result;
    private final List<GradAndVar<? extends TType>> inputs;

    ClippedGradients(Result fetched, ClipResult result, List<GradAndVar<? extends TType>> inputs) {
        this.fetched = fetched;
        this.result = result;
        this.inputs = inputs;
    }

    /** The result of the clip. */
    public ClipResult result() {
        return result;
    }

    /** The result of the run: first what the caller fetched, last the clipped gradients. */
    public Result fetched() {
        return fetched;
    }

    /** Feeds them to the run that applies them; gives that back. */
    public Session.Runner feed(Session.Runner update) {
        int first = fetched.size() - inputs.size();
        for (int i = 0; i < inputs.size(); i++) update.feed(inputs.get(i).getGradient(), fetched.get(first + i));
        return update;
    }

    /** Frees the tensors. */
    @Override
    public void close() {
        fetched.close();
    }
}
