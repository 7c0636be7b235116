// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.adapter;

import dev.gradclip.GradientClipperBuilder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The rows of each tensor, or its units along an axis; those of a caller may change until they are copied. */
final class Units {
    static final Units NONE = new Units(new int[0], 0, List.of());

    private final int[] rows;
    private final int axis;
    private final List<long[]> shapes;

    private Units(int[] rows, int axis, List<long[]> shapes) {
        this.rows = rows;
        this.axis = axis;
        this.shapes = shapes;
    }

    /** Rows of tensors, 0 for one without. */
    static Units rows(int[] rows) {
        for (int count : rows) if (count != 0) return new Units(rows, 0, List.of());
        return NONE;
    }

    static Units along(int axis, List<long[]> shapes) {
        return new Units(new int[0], axis, shapes);
    }

    Units copy() {
        List<long[]> copies = new ArrayList<>(shapes.size());
        for (long[] shape : shapes) copies.add(shape.clone());
        return new Units(rows.clone(), axis, copies);
    }

    boolean sameAs(Units other) {
        if (axis != other.axis || shapes.size() != other.shapes.size() || !Arrays.equals(rows, other.rows))
            return false;
        for (int i = 0; i < shapes.size(); i++) if (!Arrays.equals(shapes.get(i), other.shapes.get(i))) return false;
        return true;
    }

    /** Declares those of one tensor, which was added last. */
    void declare(GradientClipperBuilder builder, int tensor) {
        if (tensor < rows.length && rows[tensor] != 0) builder.rows(rows[tensor]);
        if (tensor < shapes.size() && shapes.get(tensor).length > 1) builder.units(axis, shapes.get(tensor));
    }
}
