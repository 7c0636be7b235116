// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import java.util.LinkedHashMap;
import java.util.Map;

/** The tensors {@code [from, to)} in the order bound: one group. */
public record TensorRange(int from, int to) {
    /**
     * Makes the groups from the tensor that each begins with, in ascending order. A group ends where the next begins,
     * and the last one ends with the last tensor.
     */
    public static Map<String, TensorRange> of(Map<String, Integer> starts, int tensors) {
        Map<String, TensorRange> groups = new LinkedHashMap<>();
        String open = null;
        int from = 0;
        for (Map.Entry<String, Integer> start : starts.entrySet()) {
            if (open != null) groups.put(open, new TensorRange(from, start.getValue()));
            open = start.getKey();
            from = start.getValue();
        }
        if (open != null) groups.put(open, new TensorRange(from, tensors));
        return groups;
    }
}
