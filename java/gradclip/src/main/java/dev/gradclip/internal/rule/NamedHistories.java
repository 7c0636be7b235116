// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.rule;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntFunction;

/** Tells a rule's histories by the name of what each is of: a tensor, a group, or all tensors. */
public final class NamedHistories {
    /** The name of a history that is of all tensors. */
    public static final String ALL = "all tensors";

    private final ResolvedRule rule;
    private final IntFunction<String> tensorName;
    private final Map<String, TensorRange> groups;

    /** Names the histories of a rule that is resolved for these groups and tensors. */
    public NamedHistories(ResolvedRule rule, IntFunction<String> tensorName, Map<String, TensorRange> groups) {
        this.rule = rule;
        this.tensorName = tensorName;
        this.groups = groups;
    }

    private String name(ResolvedRule.Part part, int tensor) {
        if (tensor >= 0) return tensorName.apply(tensor);
        if (rule.isGlobal()) return ALL;
        for (Map.Entry<String, TensorRange> group : groups.entrySet()) {
            TensorRange range = group.getValue();
            if (range.from() == part.from() && range.to() == part.to()) return group.getKey();
        }
        throw new IllegalStateException("a history is of no group: " + part);
    }

    /** The histories in their blocks, in order. */
    public Map<String, double[]> of(double[] blocks) {
        Map<String, double[]> found = new LinkedHashMap<>();
        rule.eachHistory(
                (part, tensor, at) -> found.put(name(part, tensor), Arrays.copyOfRange(blocks, at, at + length(part))));
        return found;
    }

    /**
     * Writes histories into their blocks, all or none of them.
     *
     * @param source where they are from, for messages
     * @throws IllegalArgumentException naming a tensor or group that is missing, or whose history has other numbers
     */
    public void place(Map<String, double[]> histories, double[] blocks, String source) {
        double[] placed = rule.beginHistories();
        int[] count = new int[1];
        rule.eachHistory((part, tensor, at) -> {
            String name = name(part, tensor);
            double[] history = histories.get(name);
            if (history == null) throw new IllegalArgumentException(source + ": holds no history of " + name);
            if (!isAlike(history, placed, at, length(part))) {
                throw new IllegalArgumentException(source + ": the history of " + name
                        + " is that of another rule, or of other numbers than " + part.history());
            }
            if (!HistoryForm.isSound(history)) {
                throw new IllegalArgumentException(source + ": the history of " + name + " is damaged");
            }
            System.arraycopy(history, 0, placed, at, history.length);
            count[0]++;
        });
        if (count[0] != histories.size()) {
            throw new IllegalArgumentException(
                    source + ": holds " + histories.size() + " histories, but the rule has " + count[0] + " here");
        }
        System.arraycopy(placed, 0, blocks, 0, placed.length);
    }

    private static boolean isAlike(double[] block, double[] fresh, int at, int length) {
        if (block.length != length) return false;
        for (int i = 0; i < HistoryForm.STEPS; i++) if (block[i] != fresh[at + i]) return false;
        return true;
    }

    /** Puts each history beside what it is of and by which norm, so that another clipper goes on with it. */
    public void leave(Map<List<Object>, double[]> to) {
        double[] blocks = rule.historyBlocks();
        rule.eachHistory(
                (part, tensor, at) -> to.put(key(part, tensor), Arrays.copyOfRange(blocks, at, at + length(part))));
    }

    /** Makes the blocks of the rule's histories, which go on where another clipper left one. */
    public double[] begin(Map<List<Object>, double[]> left) {
        double[] blocks = rule.beginHistories();
        rule.eachHistory((part, tensor, at) -> {
            double[] known = left.get(key(part, tensor));
            if (known != null) System.arraycopy(known, 0, blocks, at, known.length);
        });
        return blocks;
    }

    private List<Object> key(ResolvedRule.Part part, int tensor) {
        return List.of(
                name(part, tensor),
                part.scope(),
                Objects.requireNonNull(part.history()),
                part.normRule().normType());
    }

    private static int length(ResolvedRule.Part part) {
        return HistoryForm.length(Objects.requireNonNull(part.history()));
    }
}
