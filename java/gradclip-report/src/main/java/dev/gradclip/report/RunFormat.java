// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.report;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes the lines of a run file. */
interface RunFormat {
    /**
     * Writes what holds for the lines that follow.
     *
     * @param rule its name, null where it is not known
     * @param normType as {@link dev.gradclip.NormType#parse} reads it, empty where the rule measures no norm
     * @param of what has the norms: tensors or groups
     * @param names what the norms of a line are of, in their order
     */
    void head(@Nullable String rule, String normType, String of, List<String> names) throws IOException;

    /**
     * Writes a line.
     *
     * @param norms of what the head named, or none
     */
    void step(RunStep step, Collection<Double> norms) throws IOException;
}
