// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.MemoryRates;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;
import dev.gradclip.measure.Workload;
import java.util.ArrayList;
import java.util.List;

/** Measures every case of a plan on some backends; each measurement gets an equal part of the time left. */
final class Bench {
    /** The rates before and after the clips of a shape. */
    private static final int RATES = 2;

    private final List<Backend> backends;
    private final int threads;
    private final double seconds;
    private final Progress progress;
    private final long start = System.nanoTime();
    private final List<BenchRow> rows = new ArrayList<>();
    private int left;

    Bench(List<Backend> backends, int threads, double seconds, Progress progress) {
        this.backends = backends;
        this.threads = threads;
        this.seconds = seconds;
        this.progress = progress;
    }

    static int measurements(BenchPlan plan, List<Backend> backends) {
        return plan.shapes().size() * (backends.size() * Case.values().length + RATES);
    }

    BenchReport run(BenchPlan plan) {
        left = measurements(plan, backends);
        List<BenchReport.Limit> limits = new ArrayList<>();
        for (Shape shape : plan.shapes()) limits.add(measure(shape));
        return new BenchReport(rows, limits, plan.leftOut(), threads, seconds, elapsed());
    }

    private BenchReport.Limit measure(Shape shape) {
        MemoryRates before = rates(shape);
        List<BenchRow> mine = new ArrayList<>();
        for (Backend backend : backends) {
            try (GradientSet set = new GradientSet(shape, backend);
                    Workload work = new Workload(set, backend, threads)) {
                for (Case what : Case.values()) {
                    Runnable call = work.prepare(what);
                    Times times = Times.of(call, nextSlot());
                    progress.advance(1);
                    mine.add(new BenchRow(backend, shape, what, times, work.moved(what), set.touched(), 0));
                }
            }
        }
        MemoryRates rates = before.faster(rates(shape));
        // A device has memory of its own, whose rates nothing in Java can tell.
        for (BenchRow row : mine) rows.add(row.backend() == Backend.CUDA ? row : row.heldAgainst(rates));
        return new BenchReport.Limit(shape, rates);
    }

    private MemoryRates rates(Shape shape) {
        MemoryRates rates = MemoryRates.measure(shape.bytes(), threads, nextSlot());
        progress.advance(1);
        return rates;
    }

    private double nextSlot() {
        return Math.max(0, seconds - elapsed()) / left--;
    }

    private double elapsed() {
        return (System.nanoTime() - start) / 1e9;
    }
}
