// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.bench;

import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Terminal;
import dev.gradclip.measure.MemoryRates;
import dev.gradclip.measure.Shape;
import java.io.IOException;
import java.util.List;

/**
 * The findings of {@code gradclip bench}.
 *
 * @param rows every measurement
 * @param limits the machine's own rates, by size
 * @param leftOut sizes that were not measured
 * @param update that was measured with the clips
 * @param threads that worked
 * @param seconds that were asked for
 * @param took seconds that it took
 */
record BenchReport(
        List<BenchRow> rows,
        List<Limit> limits,
        List<BenchPlan.LeftOut> leftOut,
        BenchUpdate update,
        int threads,
        double seconds,
        double took) {
    /** The rates that memory allows at one size. */
    record Limit(Shape shape, MemoryRates rates) {}

    void print(Terminal terminal, Format format) throws IOException {
        if (format == Format.JSON) BenchJson.print(this, terminal);
        else BenchText.print(this, terminal);
    }
}
