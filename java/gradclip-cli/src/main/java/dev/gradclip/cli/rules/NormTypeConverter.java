// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.rules;

import dev.gradclip.NormType;
import dev.gradclip.cli.shell.Numbers;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads {@code --norm-type}. */
final class NormTypeConverter implements ITypeConverter<NormType> {
    @Override
    public NormType convert(String text) {
        try {
            return parse(text);
        } catch (IllegalArgumentException e) {
            throw new TypeConversionException(String.valueOf(e.getMessage()));
        }
    }

    /**
     * Reads a norm type.
     *
     * @throws IllegalArgumentException if the text is no norm
     */
    static NormType parse(String text) {
        try {
            double p = Numbers.parse(text);
            if (p > 0) return NormType.p(p);
        } catch (NumberFormatException e) {
            // The same advice as for a number that is no norm.
        }
        throw new IllegalArgumentException("'" + text + "' is not 1, 2, inf or a number above 0");
    }
}
