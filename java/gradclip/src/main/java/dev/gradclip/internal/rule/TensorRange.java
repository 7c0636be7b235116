// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import java.util.LinkedHashMap;
import java.util.Map;

/** A named run of tensors: {@code [from, to)} in the order bound. */
public record TensorRange(int from, int to) {
    /**
     * By the tensor that each begins with, in ascending order: one ends where the next begins, the last after all
     * tensors.
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
