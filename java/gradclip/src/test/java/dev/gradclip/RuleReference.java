// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Clips {@link MixedTensors} by the rules' definitions, in plain double arithmetic, row by row. */
final class RuleReference {
    private final ClipRule rule;
    private final MixedTensors mixed;
    private final Map<String, List<double[]>> parts = new HashMap<>();
    private final Map<String, Double> norms = new HashMap<>();
    private final List<double[][]> weights = new ArrayList<>();

    /** Takes the tensors as they are now. */
    RuleReference(ClipRule rule, MixedTensors mixed) {
        this.rule = rule;
        this.mixed = mixed;
        for (int i = 0; i < mixed.tensors(); i++) {
            weights.add(mixed.rows(mixed.parameters.get(i), i));
            double[][] rows = mixed.rows(mixed.gradients.get(i), i);
            for (int row = 0; row < rows.length; row++) {
                parts.computeIfAbsent(part(rule, mixed, i, row), key -> new ArrayList<>())
                        .add(rows[row]);
            }
        }
    }

    /** Returns the same string for all rows that share a norm; empty where no rule applies. */
    static String part(ClipRule rule, MixedTensors mixed, int tensor, int row) {
        String group = mixed.group(tensor);
        if (!(ruleOf(rule, group) instanceof NormRule norm)) return "";
        return switch (norm.scope()) {
            case ALL -> rule instanceof GroupRule ? "group " + group : "all";
            case GROUP -> group.isEmpty() ? "" : "group " + group;
            case TENSOR -> "tensor " + tensor;
            case ROW -> "row " + tensor + " " + row;
            case SAMPLE -> throw new IllegalArgumentException("mixed tensors have no samples");
        };
    }

    private static @Nullable ClipRule ruleOf(ClipRule rule, String group) {
        return rule instanceof GroupRule groups ? groups.rules().get(group) : rule;
    }

    static double norm(NormType type, List<double[]> runs) {
        double sum = 0;
        double max = 0;
        for (double[] run : runs) {
            for (double x : run) {
                max = Math.max(max, Math.abs(x));
                sum += type.equals(NormType.L2) ? x * x : Math.pow(Math.abs(x), type.p());
            }
        }
        if (type.equals(NormType.INF)) return max;
        return type.equals(NormType.L2) ? Math.sqrt(sum) : Math.pow(sum, 1 / type.p());
    }

    /** Returns the coefficient of a row's elements. */
    double coefficient(int tensor, int row) {
        String part = part(rule, mixed, tensor, row);
        if (part.isEmpty() || !(ruleOf(rule, mixed.group(tensor)) instanceof NormRule norm)) return rule.inverseScale();
        List<double[]> elements = parts.getOrDefault(part, List.of());
        double raw = norms.computeIfAbsent(part, key -> norm(norm.normType(), elements));
        double n = raw * norm.inverseScale();
        boolean isAdaptive = norm.form() == NormRule.Form.ADAPTIVE;
        if (isAdaptive && mixed.parameters.get(tensor) == null) return norm.inverseScale();
        double w = isAdaptive ? norm(norm.normType(), List.of(weights.get(tensor)[row])) : 0;
        long count = elements.stream().mapToLong(x -> x.length).sum();
        return norm.inverseScale() * ofNorm(norm, n, (double) Math.max(1, count), w);
    }

    private static double ofNorm(NormRule rule, double n, double count, double weights) {
        double max = rule.max();
        return switch (rule.form()) {
            case CLIP -> n == 0 ? 1 : Math.min(1, max / (n + rule.epsilon()));
            case AVERAGE -> n / count <= max ? 1 : max / (n / count);
            case RMS -> 1 / Math.max(1, n / Math.sqrt(count) / max);
            case NORMALIZE -> n > max ? rule.targetNorm() / n : 1;
            case ADAPTIVE -> {
                double most = max * Math.max(weights, rule.epsilon());
                yield n >= most && n > 0 ? most / Math.max(n, 1e-6) : 1;
            }
        };
    }
}
