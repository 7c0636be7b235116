// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import org.jspecify.annotations.Nullable;

/** A result that a device has still to write, or has written; read when first asked for. */
final class ClipTicket extends ClipResult {
    private final CudaPhases phases;
    private final long ticket;
    private final long elements;
    private final int tensors;
    private volatile @Nullable ClipSnapshot read;

    ClipTicket(CudaPhases phases, long ticket, int tensors, long elements) {
        this.phases = phases;
        this.ticket = ticket;
        this.tensors = tensors;
        this.elements = elements;
    }

    private ClipSnapshot read() {
        ClipSnapshot snapshot = read;
        if (snapshot == null) {
            snapshot = phases.read(ticket, tensors, elements);
            read = snapshot;
        }
        return snapshot;
    }

    @Override
    public boolean isComplete() {
        return read != null || phases.isComplete(ticket);
    }

    @Override
    public double totalNorm() {
        return read().totalNorm();
    }

    @Override
    public double coefficient() {
        return read().coefficient();
    }

    @Override
    public boolean clipped() {
        return read().clipped();
    }

    @Override
    public boolean nonFinite() {
        return read().nonFinite();
    }

    @Override
    public int tensors() {
        return tensors;
    }

    @Override
    public long elements() {
        return elements;
    }

    @Override
    public long elementsChanged() {
        return read().elementsChanged();
    }

    @Override
    public double tensorNorm(int tensor) {
        return read().tensorNorm(tensor);
    }

    @Override
    public double tensorCoefficient(int tensor) {
        return read().tensorCoefficient(tensor);
    }

    @Override
    public double rowNorm(int tensor, int row) {
        return read().rowNorm(tensor, row);
    }

    @Override
    public double rowCoefficient(int tensor, int row) {
        return read().rowCoefficient(tensor, row);
    }

    @Override
    public double groupNorm(String group) {
        return read().groupNorm(group);
    }

    /** Waits for nothing. */
    @Override
    public String toString() {
        return read != null
                ? read.toString()
                : "ClipResult[not read yet, tensors=" + tensors + ", elements=" + elements + "]";
    }
}
