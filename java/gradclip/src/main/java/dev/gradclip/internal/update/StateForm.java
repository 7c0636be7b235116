// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import dev.gradclip.DType;
import dev.gradclip.Update;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The form of the state beside weights: what the update keeps, and, last, master weights in FLOAT32 where weights have
 * 16 bits.
 *
 * @param update the form of the updates
 * @param masterWeights true if 16-bit weights have master weights
 */
public record StateForm(UpdateForm update, boolean masterWeights) {
    private static final String MASTER_WEIGHTS = "master_weights";
    private static final String WITH_MASTER_WEIGHTS = " with master weights";

    private static final List<StateForm> ALL = Arrays.stream(UpdateForm.values())
            .flatMap(update -> Stream.of(new StateForm(update, false), new StateForm(update, true)))
            .toList();

    /** The form that an update needs; nothing is allocated. */
    public static StateForm of(Update update) {
        return ALL.get(2 * UpdateForm.of(update).ordinal() + (update.masterWeights() ? 1 : 0));
    }

    /** The form of this title, or null. */
    static @Nullable StateForm titled(@Nullable Object title) {
        for (StateForm form : ALL) if (form.title().equals(title)) return form;
        return null;
    }

    /** The name in messages and files. */
    public String title() {
        return masterWeights ? update.title() + WITH_MASTER_WEIGHTS : update.title();
    }

    /** The number of state tensors beside weights of some type. */
    public int slots(DType weights) {
        return hasMaster(weights) ? update.slots() + 1 : update.slots();
    }

    /** True if weights of some type have master weights, in the slot {@link #masterSlot}. */
    public boolean hasMaster(DType weights) {
        return masterWeights && weights.bytes() == 2;
    }

    /** The slot of master weights. */
    public int masterSlot() {
        return update.slots();
    }

    /** PyTorch's name of a state tensor, or that of master weights. */
    public String slot(int slot) {
        return slot == masterSlot() ? MASTER_WEIGHTS : update.slot(slot);
    }
}
