// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.Option;

/** The option that leaves tensors out. */
public final class Exclusion {
    @Option(
            names = "--exclude",
            paramLabel = "REGEX",
            description =
                    "leave out the tensors whose whole name matches: not measured, not changed; may be given again")
    private List<NamePattern> patterns = new ArrayList<>();

    /**
     * Returns the tensors of some files that are not left out, in their order.
     *
     * @throws BadFileException if an expression matches none: a name that is mistyped would be clipped, unnoticed
     */
    public List<TensorEntry> rest(TensorFiles files) throws BadFileException {
        Set<NamePattern> unused = new HashSet<>(patterns);
        List<TensorEntry> rest = new ArrayList<>();
        for (TensorEntry tensor : files.tensors()) {
            boolean excluded = false;
            for (NamePattern pattern : patterns) {
                if (!pattern.matches(tensor.name())) continue;
                unused.remove(pattern);
                excluded = true;
            }
            if (!excluded) rest.add(tensor);
        }
        for (NamePattern pattern : patterns) {
            if (!unused.contains(pattern)) continue;
            throw new BadFileException(files.path() + ": --exclude " + Printable.quoted(pattern.text())
                    + " matches the whole name of no tensor; 'gradclip inspect' lists the names");
        }
        return rest;
    }
}
