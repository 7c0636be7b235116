// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.cli.safetensors.BadFileException;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.safetensors.Shown;
import dev.gradclip.cli.safetensors.TensorEntry;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** The option that leaves tensors out. */
final class Exclusion {
    @Option(
            names = "--exclude",
            paramLabel = "REGEX",
            converter = Converter.class,
            description =
                    "leave out the tensors whose whole name matches: not measured, not changed; may be given again")
    private List<NamePattern> patterns = new ArrayList<>();

    /** Reads one expression. */
    static final class Converter implements ITypeConverter<NamePattern> {
        @Override
        public NamePattern convert(String text) {
            try {
                return NamePattern.of(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(String.valueOf(e.getMessage()));
            }
        }
    }

    /**
     * The tensors of a file that are not left out, in their order.
     *
     * @throws BadFileException if an expression matches none: a name that is mistyped would be clipped, unnoticed
     */
    List<TensorEntry> rest(SafetensorsFile file) throws BadFileException {
        Set<NamePattern> unused = new HashSet<>(patterns);
        List<TensorEntry> rest = new ArrayList<>();
        for (TensorEntry tensor : file.header().tensors()) {
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
            throw new BadFileException(file.path() + ": --exclude " + Shown.quoted(pattern.text())
                    + " matches the whole name of no tensor; 'gradclip inspect' lists the names");
        }
        return rest;
    }
}
