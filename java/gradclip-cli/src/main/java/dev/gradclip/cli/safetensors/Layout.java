// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.safetensors;

import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Checks that tensors fill the data exactly: each of its shape's size, without hole, overlap or remainder. */
final class Layout {
    private Layout() {}

    /** Checks tensors and returns them in the order of their data. */
    static List<TensorEntry> check(List<TensorEntry> tensors, long dataBytes) throws BadFileException {
        for (TensorEntry tensor : tensors) {
            checkRange(tensor, dataBytes);
            checkSize(tensor);
        }
        List<TensorEntry> ordered = new ArrayList<>(tensors);
        ordered.sort(Comparator.comparingLong(TensorEntry::begin).thenComparingLong(TensorEntry::end));
        checkContiguous(ordered, dataBytes);
        return List.copyOf(ordered);
    }

    private static void checkRange(TensorEntry tensor, long dataBytes) throws BadFileException {
        if (tensor.begin() > tensor.end()) {
            throw fault(tensor, offsets(tensor) + " end before they begin");
        }
        if (tensor.end() > dataBytes) {
            throw fault(
                    tensor,
                    offsets(tensor) + " reach beyond the " + dataBytes
                            + " bytes of data in the file; it may be truncated");
        }
    }

    private static void checkSize(TensorEntry tensor) throws BadFileException {
        long bits;
        try {
            bits = tensor.shape().contains(0L) ? 0 : tensor.type().bits();
            for (long dimension : tensor.shape()) bits = Math.multiplyExact(bits, dimension);
        } catch (ArithmeticException e) {
            throw new BadFileException(where(tensor) + shape(tensor) + " takes more than 2^63 bits", e);
        }
        if (bits % 8 != 0) {
            throw fault(tensor, shape(tensor) + " takes " + bits + " bits, which is not whole bytes");
        }
        if (bits / 8 != tensor.bytes()) {
            throw fault(
                    tensor,
                    shape(tensor) + " takes " + bits / 8 + " bytes, but " + offsets(tensor) + " hold "
                            + tensor.bytes());
        }
    }

    private static void checkContiguous(List<TensorEntry> ordered, long dataBytes) throws BadFileException {
        long reached = 0;
        String previous = "the start of the data";
        for (TensorEntry tensor : ordered) {
            if (tensor.begin() < reached) {
                throw fault(tensor, offsets(tensor) + " overlap " + previous + ", which ends at " + reached);
            }
            if (tensor.begin() > reached) {
                throw fault(
                        tensor,
                        offsets(tensor) + " leave a hole of " + (tensor.begin() - reached) + " bytes after "
                                + previous);
            }
            reached = tensor.end();
            previous = Printable.quoted(tensor.name());
        }
        if (reached != dataBytes) {
            throw new BadFileException((dataBytes - reached) + " bytes follow " + previous + ", the last tensor's end");
        }
    }

    private static String offsets(TensorEntry tensor) {
        return "data_offsets [" + tensor.begin() + ", " + tensor.end() + "]";
    }

    private static String shape(TensorEntry tensor) {
        return "shape " + Printable.shape(tensor.shape(), ", ") + " of " + tensor.type();
    }

    private static BadFileException fault(TensorEntry tensor, String what) {
        return new BadFileException(where(tensor) + what);
    }

    private static String where(TensorEntry tensor) {
        return "tensor " + Printable.quoted(tensor.name()) + ": ";
    }
}
