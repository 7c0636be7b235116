// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.measure;

import dev.gradclip.DType;

/**
 * A set of equal gradients.
 *
 * @param dtype FLOAT32 or BFLOAT16
 * @param tensors how many
 * @param length elements of each
 */
public record Shape(DType dtype, int tensors, long length) {
    /** Refuses types that {@link GradientSet} does not fill. */
    public Shape {
        if (dtype != DType.FLOAT32 && dtype != DType.BFLOAT16) {
            throw new IllegalArgumentException("gradients are FLOAT32 or BFLOAT16 here, not " + dtype);
        }
    }

    /** Elements all told. */
    public long elements() {
        return tensors * length;
    }

    /** Bytes all told. */
    public long bytes() {
        return elements() * dtype.bytes();
    }

    /** Such as {@code 500 x 1Ki}. */
    public String label() {
        return tensors + " x " + human(length);
    }

    /** Such as {@code 16Mi}; what is no multiple is written out. */
    public static String human(long elements) {
        String[] units = {"", "Ki", "Mi", "Gi"};
        int unit = 0;
        while (unit < 3 && elements > 0 && elements % 1024 == 0) {
            elements /= 1024;
            unit++;
        }
        return elements + units[unit];
    }
}
