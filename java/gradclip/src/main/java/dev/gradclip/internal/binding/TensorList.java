// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.binding;

import dev.gradclip.internal.memory.Strided;
import dev.gradclip.internal.memory.TensorMemory;
import dev.gradclip.internal.reduce.SegmentLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tensors that a clipper is bound to. The entries are the gradients, followed by their weights if there are any.
 *
 * @param names the names of the gradients
 * @param segments the runs of elements that have a norm of their own
 * @param strided for each gradient, where the elements of its segments lie; null where those of each lie side by side
 * @param groups the number of named groups
 * @param shapes the type and length of every entry
 * @param memory the memory of every entry; null if it is absent
 */
public record TensorList(
        List<String> names,
        SegmentLayout segments,
        List<@Nullable Strided> strided,
        int groups,
        List<TensorMemory> shapes,
        List<@Nullable TensorMemory> memory) {}
