// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads an option's number. */
public final class NumberConverter implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
        try {
            return Numbers.parse(text);
        } catch (NumberFormatException e) {
            throw new TypeConversionException(String.valueOf(e.getMessage()));
        }
    }
}
