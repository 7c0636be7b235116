// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.binding;

import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tensors that a clipper is to be bound to. Entries are the gradients and then, where there are any, their weights.
 *
 * @param names of the gradients
 * @param segments what has a norm of its own
 * @param groups how many named groups there are
 * @param shapes type and length of every entry
 * @param memory of every entry; null where it is absent
 */
public record TensorList(
        List<String> names,
        SegmentLayout segments,
        int groups,
        List<TensorMemory> shapes,
        List<@Nullable TensorMemory> memory) {}
