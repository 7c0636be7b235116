// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.measure;

import dev.gradclip.DType;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * The types and lengths of a set of gradients; {@link Shapes} finds them by name.
 *
 * @param name as it is asked for; where it is scaled down, with its size and the real one
 * @param tensors in order
 */
public record Shape(String name, List<Tensor> tensors) {
    /** The type and length of one tensor. */
    public record Tensor(DType dtype, long length) {
        /** Returns its bytes. */
        public long bytes() {
            return length * dtype.bytes();
        }
    }

    /** Keeps a copy. */
    public Shape {
        tensors = List.copyOf(tensors);
    }

    /** Returns so many tensors of one type and length: {@code 500x1024}. */
    public static Shape equal(DType dtype, int tensors, long length) {
        return new Shape(tensors + "x" + length, Collections.nCopies(tensors, new Tensor(dtype, length)));
    }

    /** Returns tensors of one type, one for each length. */
    public static Shape of(String name, DType dtype, List<Long> lengths) {
        return new Shape(
                name, lengths.stream().map(length -> new Tensor(dtype, length)).toList());
    }

    /** Tells if all are of that type. */
    public boolean is(DType dtype) {
        return tensors.stream().allMatch(tensor -> tensor.dtype() == dtype);
    }

    /** Tells if all are of 16 bits, and there is one. */
    public boolean isHalves() {
        return !tensors.isEmpty()
                && tensors.stream().allMatch(tensor -> tensor.dtype().bytes() == 2);
    }

    /** Returns the type of all, such as {@code float32}, or {@code mixed}. */
    public String type() {
        List<String> types = tensors.stream()
                .map(tensor -> tensor.dtype().name().toLowerCase(Locale.ROOT))
                .distinct()
                .toList();
        return types.size() == 1 ? types.get(0) : "mixed";
    }

    /** Returns the number of all elements. */
    public long elements() {
        return tensors.stream().mapToLong(Tensor::length).sum();
    }

    /** Returns the bytes of all tensors. */
    public long bytes() {
        return tensors.stream().mapToLong(Tensor::bytes).sum();
    }

    /** Returns a label such as {@code 500 x 1Ki}; the name if lengths differ. */
    public String label() {
        boolean isEqual = tensors.stream().distinct().count() == 1;
        return isEqual ? tensors.size() + " x " + human(tensors.get(0).length()) : name;
    }

    /** Returns this shape if it fits, else one of as many tensors, every length divided by the same number. */
    public Shape within(long bytes) {
        if (bytes() <= bytes) return this;
        if (bytes < 1) throw new IllegalArgumentException("bytes must be 1 or more, but is " + bytes);
        long divisor = (bytes() + bytes - 1) / bytes;
        List<Tensor> scaled = tensors.stream()
                .map(tensor -> new Tensor(tensor.dtype(), tensor.length() / divisor))
                .toList();
        return new Shape(name, scaled).scaledFrom(elements());
    }

    /** Returns this shape under a name that says how much of the real one it is. */
    Shape scaledFrom(long real) {
        return new Shape(name + ", " + elements() + " of " + real + " elements", tensors);
    }

    /** Writes a number such as {@code 16Mi}; one that is no multiple is written out. */
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
