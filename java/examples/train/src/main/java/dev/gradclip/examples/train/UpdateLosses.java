// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;

import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import dev.gradclip.javacpp.TorchClipper;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.TensorVector;

/**
 * Trains the same model from the same seed with each way to clip and update by AdamW, prints the losses of the last
 * steps, and throws where they do not agree.
 */
final class UpdateLosses {
    /** Losses may differ by this share of the larger one: no two ways round alike, and training makes more of it. */
    static final double TOLERANCE = 1e-3;

    /**
     * The loss falls by an eighth in 8 steps at this rate. At larger ones roundings grow: at 1e-5 LibTorch's own two
     * AdamWs part by 5 % within 6 steps.
     */
    static final double RATE = 1e-7;

    private static final int SHOWN = 4;

    /** A way to clip and update once the gradients are there. */
    interface Way extends AutoCloseable {
        void step();

        @Override
        default void close() {}
    }

    private UpdateLosses() {}

    /** The ways that are compared, LibTorch's first, each for parameters and a threshold. */
    static Map<String, Function<TensorVector, Way>> ways(double maxNorm) {
        Map<String, Function<TensorVector, Way>> ways = new LinkedHashMap<>();
        ways.put("LibTorch: clip_grad_norm_, then step()", parameters -> libTorch(parameters, maxNorm, RATE));
        ways.put("gradclip decides, LibTorch's fused kernel updates", parameters -> fused(parameters, maxNorm));
        ways.put("gradclip: step", parameters -> step(parameters, maxNorm));
        return ways;
    }

    static Way libTorch(TensorVector parameters, double maxNorm, double rate) {
        AdamW optimizer = new AdamW(parameters, new AdamWOptions(rate));
        return new Way() {
            @Override
            public void step() {
                clip_grad_norm_(parameters, maxNorm);
                optimizer.step();
            }

            @Override
            public void close() {
                optimizer.close();
            }
        };
    }

    private static Way fused(TensorVector parameters, double maxNorm) {
        TorchClipper decider = TorchClipper.of(parameters);
        FusedAdamW fused = new FusedAdamW(parameters, RATE);
        return new Way() {
            @Override
            public void step() {
                fused.step(decider, maxNorm);
            }

            @Override
            public void close() {
                decider.close();
                fused.close();
            }
        };
    }

    private static Way step(TensorVector parameters, double maxNorm) {
        TorchClipper clipper = TorchClipper.of(parameters);
        Update update = Update.adamW(RATE);
        return new Way() {
            @Override
            public void step() {
                clipper.step(update, ClipRule.globalNorm(maxNorm));
            }

            @Override
            public void close() {
                clipper.close();
            }
        };
    }

    /** Trains once for each way, on a new model with the same seed, and compares all losses with the first way's. */
    static void run(
            PrintStream out, Supplier<Training> seeded, Map<String, Function<TensorVector, Way>> ways, int steps) {
        int shown = Math.min(SHOWN, steps);
        out.printf(Locale.ROOT, "%nLosses of the last %d of %d steps by AdamW, rate %s:%n%n", shown, steps, RATE);
        Map<String, double[]> losses = new LinkedHashMap<>();
        for (Map.Entry<String, Function<TensorVector, Way>> way : ways.entrySet()) {
            Training training = seeded.get();
            double[] found = losses(training, way.getValue(), steps);
            losses.put(way.getKey(), found);
            out.printf(
                    Locale.ROOT,
                    "| %s | %s |%n",
                    way.getKey(),
                    DoubleStream.of(found)
                            .skip(steps - shown)
                            .mapToObj(loss -> String.format(Locale.ROOT, "%.6f", loss))
                            .collect(Collectors.joining(" | ")));
        }
        double apart = apart(losses);
        out.printf(
                Locale.ROOT,
                "%nOf the %d losses none is further from LibTorch's than %.1e of it; the tolerance is %.0e.%n",
                steps,
                apart,
                TOLERANCE);
    }

    @SuppressWarnings("try") // scopes are there to be closed
    private static double[] losses(Training training, Function<TensorVector, Way> maker, int steps) {
        double[] losses = new double[steps];
        try (Way way = maker.apply(training.parameters())) {
            for (int step = 0; step < steps; step++) {
                try (PointerScope scope = new PointerScope()) {
                    losses[step] = training.backward();
                    way.step();
                }
            }
        }
        return losses;
    }

    private static double apart(Map<String, double[]> losses) {
        Map.Entry<String, double[]> first = losses.entrySet().iterator().next();
        int steps = first.getValue().length;
        double apart = 0;
        for (Map.Entry<String, double[]> other : losses.entrySet()) {
            for (int step = 0; step < steps; step++) {
                double a = first.getValue()[step];
                double b = other.getValue()[step];
                double share = Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
                // Not so where a loss is NaN either.
                if (!(share <= TOLERANCE)) {
                    throw new IllegalStateException(String.format(
                            Locale.ROOT,
                            "%s has the loss %s at step %d, but %s has %s",
                            other.getKey(),
                            b,
                            step + 1,
                            first.getKey(),
                            a));
                }
                apart = Math.max(apart, share);
            }
        }
        return apart;
    }
}
