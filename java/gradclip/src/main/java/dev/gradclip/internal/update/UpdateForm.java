// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.update;

import dev.gradclip.SgdUpdate;
import dev.gradclip.Update;
import java.util.List;

/** The forms of an update, by the state that they keep for each weight; the ordinals cross JNI. */
public enum UpdateForm {
    SGD("sgd"),
    SGD_MOMENTUM("sgd with momentum", "momentum_buffer"),
    ADAM("adam", "exp_avg", "exp_avg_sq");

    private final String title;

    @SuppressWarnings("ImmutableEnumChecker") // never written
    private final List<String> slots;

    UpdateForm(String title, String... slots) {
        this.title = title;
        this.slots = List.of(slots);
    }

    /** The form of an update. */
    public static UpdateForm of(Update update) {
        if (update instanceof SgdUpdate sgd) return sgd.momentum() == 0 ? SGD : SGD_MOMENTUM;
        return ADAM;
    }

    /** The name in messages and files. */
    public String title() {
        return title;
    }

    /** The number of state tensors for each tensor of weights. */
    public int slots() {
        return slots.size();
    }

    /** PyTorch's name of a state tensor. */
    public String slot(int slot) {
        return slots.get(slot);
    }
}
