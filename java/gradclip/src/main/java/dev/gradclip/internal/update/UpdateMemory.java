// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import dev.gradclip.DType;
import java.nio.ByteBuffer;
import java.util.List;

/** The state of a clipper's updates, on the host or on a device: a few tensors beside each tensor of weights. */
public interface UpdateMemory {
    /** The form of the state. */
    StateForm form();

    /**
     * Checks that an update of some form can continue this state.
     *
     * @throws IllegalArgumentException if it is the state of another form
     */
    default void requireForm(StateForm wanted) {
        if (!form().equals(wanted)) {
            throw new IllegalArgumentException("the clipper has the state of " + form().title() + ", which "
                    + wanted.title() + " can't continue; give the other update a clipper of its own");
        }
    }

    /** The steps of each tensor by now; on a device this waits for the last call and copies them. */
    Progress progress();

    /** Takes what was set in {@link #progress}. */
    void progressSet();

    /** The type of a tensor of weights. */
    DType weightsType(int tensor);

    /** The type of a tensor's state: FLOAT64 for weights of FLOAT64, else FLOAT32. */
    default DType dtype(int tensor) {
        return weightsType(tensor) == DType.FLOAT64 ? DType.FLOAT64 : DType.FLOAT32;
    }

    /** The number of state tensors beside a tensor of weights. */
    default int slots(int tensor) {
        return form().slots(weightsType(tensor));
    }

    /** The bytes of a state tensor, in order; the memory itself on the host, a copy of it on a device. */
    List<ByteBuffer> read(int slot, int tensor);

    /** Takes what was written into the buffers of {@link #read}. */
    void written(int slot, int tensor, List<ByteBuffer> buffers);
}
