// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.Backend;
import dev.gradclip.Update;
import dev.gradclip.cli.shell.Progress;
import dev.gradclip.measure.Case;
import dev.gradclip.measure.GradientSet;
import dev.gradclip.measure.MemoryRates;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Times;
import dev.gradclip.measure.UpdateWorkload;
import dev.gradclip.measure.Workload;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures every case of a plan on some backends, and clip and update where one is asked for; each measurement gets an
 * equal part of the time left.
 */
final class Bench {
    /** The rates before and after the clips, or the updates, of a shape. */
    private static final int RATES = 2;

    private final List<Backend> backends;
    private final int threads;
    private final double seconds;
    private final BenchUpdate update;
    private final Progress progress;
    private final long start = System.nanoTime();
    private final List<BenchRow> rows = new ArrayList<>();
    private int left;

    Bench(List<Backend> backends, int threads, double seconds, BenchUpdate update, Progress progress) {
        this.backends = backends;
        this.threads = threads;
        this.seconds = seconds;
        this.update = update;
        this.progress = progress;
    }

    static int measurements(BenchPlan plan, List<Backend> backends, BenchUpdate update) {
        int clips = backends.size() * Case.CLIPS.size() + RATES;
        int updates = update.update() == null ? 0 : backends.size() * Case.UPDATES.size() + RATES;
        return plan.shapes().size() * (clips + updates);
    }

    BenchReport run(BenchPlan plan) {
        left = measurements(plan, backends, update);
        List<BenchReport.Limit> limits = new ArrayList<>();
        Update wanted = update.update();
        for (Shape shape : plan.shapes()) {
            limits.add(measure(shape));
            if (wanted != null) measure(shape, wanted);
        }
        return new BenchReport(rows, limits, plan.leftOut(), update, threads, seconds, elapsed());
    }

    private BenchReport.Limit measure(Shape shape) {
        MemoryRates before = rates(shape.bytes());
        List<BenchRow> mine = new ArrayList<>();
        for (Backend backend : backends) {
            try (GradientSet set = new GradientSet(shape, backend);
                    Workload work = new Workload(set, backend, threads)) {
                for (Case what : Case.CLIPS) {
                    Times times = Times.of(work.prepare(what), nextSlot());
                    progress.advance(1);
                    mine.add(new BenchRow(backend, shape, what, times, work.traffic(what), 0));
                }
            }
        }
        MemoryRates rates = before.faster(rates(shape.bytes()));
        for (BenchRow row : mine) rows.add(row.heldAgainst(rates));
        return new BenchReport.Limit(shape, rates);
    }

    /** An update touches more memory than a clip of the same gradients and may leave a cache: it has its own rates. */
    private void measure(Shape shape, Update wanted) {
        long bytes = BenchPlan.ratesBytes(shape, wanted);
        MemoryRates before = rates(bytes);
        List<BenchRow> mine = new ArrayList<>();
        for (Backend backend : backends) {
            try (UpdateWorkload work = new UpdateWorkload(shape, backend, threads, wanted)) {
                List<Times> times =
                        Times.byTurns(Case.UPDATES.stream().map(work::prepare).toList(), nextSlot() + nextSlot());
                progress.advance(times.size());
                for (int i = 0; i < times.size(); i++) {
                    Case what = Case.UPDATES.get(i);
                    mine.add(new BenchRow(backend, shape, what, times.get(i), work.traffic(what), 0));
                }
            }
        }
        MemoryRates rates = before.faster(rates(bytes));
        for (BenchRow row : mine) rows.add(row.heldAgainst(rates));
    }

    private MemoryRates rates(long bytes) {
        MemoryRates rates = MemoryRates.measure(bytes, threads, nextSlot());
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
