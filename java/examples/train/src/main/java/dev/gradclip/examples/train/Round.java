// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;

/**
 * Steps in which each way of clipping has a forward and a backward pass of its own, on the same parameters and
 * pictures, so that each finds equal gradients as LibTorch left them a moment ago. The first way is LibTorch's own. Who
 * begins changes from step to step; the optimizer steps once, after the last.
 */
final class Round {
    /** The relative error that LibTorch's norm, added in float, may have: 6.6e-5 was seen. */
    private static final double LIBTORCH_PRECISION = 1e-3;

    /** The relative difference that the others, added in double, may have. */
    private static final double PRECISION = 1e-9;

    private static final ThreadMXBean MEMORY = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final Training training;
    private final boolean bites;
    private final List<String> names;
    private final List<Clipping> ways = new ArrayList<>();
    private final Map<String, StepTimes> times = new LinkedHashMap<>();
    private final StepTimes passes;
    private double norm;
    private double libTorchOff;

    Round(Training training, boolean bites, Map<String, Supplier<Clipping>> ways, int steps, double norm) {
        this.training = training;
        this.bites = bites;
        this.norm = norm;
        names = List.copyOf(ways.keySet());
        passes = new StepTimes(steps);
        ways.forEach((name, make) -> {
            this.ways.add(make.get());
            times.put(name, new StepTimes(steps));
        });
    }

    /**
     * Warms up, then times.
     *
     * @throws IllegalStateException if two ways find different norms
     */
    List<Row> run(int warmup, int steps) {
        for (int step = -warmup; step < steps; step++) step(step);
        List<Row> rows = new ArrayList<>();
        StepTimes libTorch = times(0);
        times.forEach((name, t) -> rows.add(Row.of(bites, name, t, libTorch, passes.totalMicros(0.5))));
        ways.forEach(Clipping::close);
        return rows;
    }

    /** The largest distance of LibTorch's norm from that in double, as a share of it. */
    double libTorchOff() {
        return libTorchOff;
    }

    /** The last one found. */
    double norm() {
        return norm;
    }

    private StepTimes times(int way) {
        return times.getOrDefault(names.get(way), passes);
    }

    @SuppressWarnings("try") // a scope is there to be closed
    private void step(int step) {
        double maxNorm = bites ? norm / 10 : norm * 10;
        double[] found = new double[ways.size()];
        long passNanos = 0;
        for (int i = 0; i < found.length; i++) {
            int way = Math.floorMod(i + step, found.length);
            try (PointerScope scope = new PointerScope()) {
                long start = System.nanoTime();
                training.backward();
                passNanos += System.nanoTime() - start;
                found[way] = time(ways.get(way), maxNorm, step < 0 ? new StepTimes(1) : times(way), Math.max(step, 0));
            }
        }
        long start = System.nanoTime();
        training.step();
        long stepNanos = System.nanoTime() - start;
        if (step >= 0) passes.time(StepTimes.Part.CLIP, step, passNanos / found.length + stepNanos);
        check(found, maxNorm);
        norm = found[0];
    }

    private static double time(Clipping clipping, double maxNorm, StepTimes times, int step) {
        long bytes = MEMORY.getCurrentThreadAllocatedBytes();
        long start = System.nanoTime();
        clipping.collect();
        long collected = System.nanoTime();
        clipping.rebind();
        long rebound = System.nanoTime();
        double norm = clipping.clip(maxNorm);
        long clipped = System.nanoTime();
        times.bytes(step, MEMORY.getCurrentThreadAllocatedBytes() - bytes);
        times.time(StepTimes.Part.COLLECT, step, collected - start);
        times.time(StepTimes.Part.REBIND, step, rebound - collected);
        times.time(StepTimes.Part.CLIP, step, clipped - rebound);
        return norm;
    }

    private void check(double[] found, double maxNorm) {
        for (int i = 1; i < found.length; i++) {
            require(Math.abs(found[0] - found[i]) <= LIBTORCH_PRECISION * found[i], found, i, 0);
            require(Math.abs(found[1] - found[i]) <= PRECISION * found[i], found, i, 1);
        }
        libTorchOff = Math.max(libTorchOff, Math.abs(found[0] / found[1] - 1));
        if (found[0] > maxNorm != bites) {
            throw new IllegalStateException("the norm " + found[0] + " is not on the side of the threshold " + maxNorm
                    + " that the case asks for; the model does not train evenly: try another --batch");
        }
    }

    private void require(boolean agree, double[] found, int a, int b) {
        if (!agree) {
            throw new IllegalStateException(
                    names.get(a) + " found the norm " + found[a] + ", but " + names.get(b) + " " + found[b]);
        }
    }
}
