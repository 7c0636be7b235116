// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.clip.Figures;
import dev.gradclip.internal.reduce.ScaledNorm;
import dev.gradclip.internal.rule.HistoryMemory;
import dev.gradclip.internal.rule.NamedHistories;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.rule.TensorRange;
import dev.gradclip.internal.stream.PieceKernels;
import dev.gradclip.internal.stream.StreamedApply;
import dev.gradclip.internal.stream.StreamedDecision;
import dev.gradclip.internal.stream.StreamedSums;
import dev.gradclip.internal.stream.StreamedTensors;
import dev.gradclip.internal.stream.StreamedTensors.Streamed;
import dev.gradclip.internal.update.HistoryFile;
import dev.gradclip.internal.update.StateFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Clips gradients that pass through memory piece by piece, twice: the first pass measures all of them, the second
 * changes them. The bits are those of a {@link GradientClipper} that is bound to everything at once.
 *
 * <pre>{@code
 * try (StreamingClip clip = StreamingClip.of(ClipRule.globalNorm(1.0), Backend.preferred(), 0)) {
 *     for (Tensor t : tensors) {
 *         while (t.read(window)) clip.measure(HostBuffer.wrap(window, t.dtype()));
 *         clip.endTensor(t.name());
 *     }
 *     ClipResult result = clip.decide();
 *     for (int i = 0; i < tensors.size(); i++) {
 *         while (tensors.get(i).read(window)) {
 *             clip.apply(i, HostBuffer.wrap(window, tensors.get(i).dtype()));
 *             write(window);
 *         }
 *     }
 * }
 * }</pre>
 *
 * <p>Groups and rows are declared before a tensor's pieces, by {@link #group} and {@link #rows}; weights for
 * {@link ClipRule#adaptive} pass through {@link #measureWeights}. Under a rule per group, end each tensor before
 * {@link #decide}, even if no piece was measured.
 *
 * <pre>{@code
 * clip.rows(64, 147); // [64, 3, 7, 7]
 * while (gradient.read(window)) clip.measure(HostBuffer.wrap(window, gradient.dtype()));
 * while (weights.read(window)) clip.measureWeights(HostBuffer.wrap(window, weights.dtype()));
 * clip.endTensor("conv1.weight");
 * }</pre>
 *
 * <p>Pieces are in host memory; on the backend CUDA each is copied to the device and, if it changes, back.
 *
 * <p>Under {@link NonFinitePolicy#ZERO} both passes write zeros into the pieces given to them. One thread at a time
 * uses a StreamingClip.
 */
public final class StreamingClip implements AutoCloseable {
    private final ClipRule rule;
    private final StreamedApply pieces;
    private final StreamedSums gradients;
    private final StreamedSums weights;
    private final boolean comparesWeights;
    private final StreamedTensors tensors = new StreamedTensors();
    private @Nullable StreamedDecision decision;
    private int applied;
    private long elements;
    private long elementsChanged;
    private double globalNorm = Double.NaN;
    private boolean nonFinite;
    private boolean untouched;
    private boolean closed;
    private @Nullable Map<String, double[]> loaded;
    private String loadedFrom = "";
    private @Nullable Supplier<Map<String, double[]>> histories;

    private StreamingClip(ClipRule rule, PieceKernels kernels) {
        this.rule = rule;
        pieces = new StreamedApply(rule, kernels);
        NormType measured = StreamedApply.first(rule) instanceof NormRule norm ? norm.normType() : NormType.INF;
        gradients = new StreamedSums(measured, kernels);
        weights = new StreamedSums(measured, kernels);
        comparesWeights = StreamedApply.comparesWeights(rule);
    }

    /**
     * Starts a clip without tensors.
     *
     * @param threads the number of threads, or 0 for {@link Backend#defaultThreads}
     * @throws BackendUnavailableException if the backend can't run here
     */
    public static StreamingClip of(ClipRule rule, Backend backend, int threads) {
        return new StreamingClip(Objects.requireNonNull(rule, "rule"), backend.pieceKernels(threads));
    }

    /**
     * Returns false for a clamp that ignores NaN and infinities: {@link #decide} comes first and {@link #measure}
     * never.
     */
    public boolean needsMeasure() {
        return !(pieces.clamps() && rule.nonFinitePolicy() == NonFinitePolicy.PROPAGATE);
    }

    /**
     * Begins a named group, as {@link GradientClipperBuilder#group} does: the tensors ended from here to the next
     * group.
     *
     * @throws IllegalArgumentException if the name is taken
     */
    public void group(String name) {
        requireUndecided();
        tensors.group(Objects.requireNonNull(name, "name"));
    }

    /**
     * Divides the tensor whose pieces come next into {@code count} rows of {@code length} elements, as
     * {@link GradientClipperBuilder#rows} does. Each of its pieces holds whole rows, or a multiple of 8 KiB or the rest
     * of one row.
     *
     * @param count the number of rows; 0 for an empty tensor
     * @throws IllegalArgumentException if count or length is negative
     * @throws IllegalStateException if called after the tensor's first piece
     */
    public void rows(int count, long length) {
        requireUndecided();
        tensors.rows(count, length);
        // A tensor of 0 rows is one empty row.
        int least = Math.max(count, 1);
        gradients.rows(least, length);
        if (comparesWeights) weights.rows(least, length);
    }

    /**
     * Measures the next piece of the current tensor; each but the last of a tensor or row is a multiple of 8 KiB.
     *
     * @throws IllegalArgumentException if the piece before was not such a multiple, or this one is of another type than
     *     the first
     */
    public void measure(HostBuffer piece) {
        requireUndecided();
        if (rule.nonFinitePolicy() == NonFinitePolicy.ZERO) nonFinite |= pieces.zeroNonFinite(piece.hostMemory) > 0;
        gradients.add(piece.hostMemory.pieces());
        tensors.add(piece.hostMemory);
    }

    /**
     * Measures the next piece of the current tensor's weights, cut as {@link #measure} says, if the rule needs them.
     */
    public void measureWeights(HostBuffer piece) {
        requireUndecided();
        if (comparesWeights) weights.add(piece.hostMemory.pieces());
        tensors.addWeights(piece.hostMemory);
    }

    /**
     * Ends the current tensor and returns its norm, 0 if it had no piece; the next piece begins another.
     *
     * @throws IllegalArgumentException if the tensor has not as many elements as its rows, or as its weights
     */
    public double endTensor(String name) {
        requireUndecided();
        tensors.requireWhole(name);
        gradients.endTensor();
        if (comparesWeights) weights.endTensor();
        Streamed tensor = tensors.end(name);
        elements += tensor.length();
        return norm(tensor.firstRow(), tensor.endRow()).value();
    }

    /**
     * Decides what {@link #apply} will do, from all tensors ended.
     *
     * @throws NonFiniteGradientException if the policy is ERROR and a gradient is not finite, naming the first such
     *     tensor; {@link #apply} is then refused
     * @throws IllegalArgumentException if the rule names a group that does not exist, or needs weights and none were
     *     measured, or names a tensor or group whose history was not loaded or does not fit
     * @throws IllegalStateException if the last tensor has not ended
     */
    public ClipResult decide() {
        requireUndecided();
        if (tensors.isOpen()) throw new IllegalStateException("call endTensor after the last tensor's last piece");
        ResolvedRule resolved = ResolvedRule.of(rule, tensors.groups(), tensors.segments(), tensors.size())
                .requireSamples(tensors.segments(), tensors.names());
        if (resolved.hasHistory) remember(resolved);
        ScaledNorm norm = norm(0, gradients.segments());
        nonFinite |= !norm.isFinite();
        if (nonFinite && rule.nonFinitePolicy() == NonFinitePolicy.ERROR) throw nonFinite();
        if (!pieces.clamps()) globalNorm = norm.value();
        untouched = nonFinite && rule.nonFinitePolicy() == NonFinitePolicy.SKIP;
        StreamedDecision made = new StreamedDecision(resolved, tensors, gradients, weights);
        if (!untouched) made.decide(!nonFinite);
        untouched |= made.skips();
        decision = made;
        return result();
    }

    private void remember(ResolvedRule resolved) {
        NamedHistories named = new NamedHistories(resolved, i -> tensors.get(i).name(), tensors.groups());
        double[] blocks = resolved.beginHistories();
        if (loaded != null) named.place(loaded, blocks, loadedFrom);
        resolved.remember(new HistoryMemory.OnHost(blocks));
        histories = () -> named.of(blocks);
    }

    /**
     * Goes on with a history that an earlier clip by the same rule saved, of tensors or groups of the same names; for
     * rules with a {@link History}.
     *
     * @throws IOException if the file can't be read or is no history of gradclip
     * @throws IllegalStateException if called after {@link #decide}, which says whether the history fits
     */
    public void loadHistory(Path file) throws IOException {
        requireUndecided();
        loaded = HistoryFile.read(Files.readAllBytes(file), file.toString());
        loadedFrom = file.toString();
    }

    /**
     * Saves the history for the next clip, as {@link RuleHistory#save} does.
     *
     * @throws IOException if the file can't be written
     * @throws IllegalStateException if called before {@link #decide}, or the rule has no history
     */
    public void saveHistory(Path file) throws IOException {
        requireDecided();
        if (histories == null) throw new IllegalStateException(rule.name() + " has no history: its threshold is fixed");
        byte[] bytes = HistoryFile.write(histories.get());
        StateFile.replace(file, channel -> StateFile.write(channel, ByteBuffer.wrap(bytes)));
    }

    private NonFiniteGradientException nonFinite() {
        for (int i = 0; i < tensors.size(); i++) {
            Streamed tensor = tensors.get(i);
            for (int row = 0; row < tensor.rows(); row++) {
                ScaledNorm norm = norm(tensor.row(row), tensor.row(row) + 1);
                if (norm.isFinite()) continue;
                if (tensor.rows() == 1) return new NonFiniteGradientException(tensor.name(), norm.value());
                return new NonFiniteGradientException(tensor.name(), row, norm.value());
            }
        }
        throw new IllegalStateException("the global norm is not finite, but every tensor's is");
    }

    /**
     * Scales or clamps a piece of a tensor in place; pieces may come in any order and of any length.
     *
     * @return the number of elements that a value rule changed; 0 for norm rules
     * @throws IllegalStateException if called before {@link #decide}, if the tensor's rows have coefficients of their
     *     own, or if the piece is read-only and may have to be written
     */
    public long apply(int tensor, HostBuffer piece) {
        StreamedDecision made = requireDecided();
        if (!pieces.clamps() && made.hasRowCoefficients(tensor)) {
            throw new IllegalStateException(tensors.get(tensor).name()
                    + " has a coefficient for each of its rows; say where in it the piece begins");
        }
        return apply(made, tensor, 0, piece);
    }

    /**
     * Changes a piece as {@link #apply(int, HostBuffer)} does; the tensor's rows may have coefficients of their own.
     *
     * @param from the number of the tensor's elements before the piece
     * @throws IndexOutOfBoundsException if the tensor has no such elements
     */
    public long apply(int tensor, long from, HostBuffer piece) {
        StreamedDecision made = requireDecided();
        if (needsMeasure()) {
            Streamed measured = tensors.get(tensor);
            Objects.checkFromIndexSize(from, piece.length(), measured.length());
        }
        return apply(made, tensor, from, piece);
    }

    private long apply(StreamedDecision made, int tensor, long from, HostBuffer piece) {
        if (!needsMeasure()) {
            applied = Math.max(applied, tensor + 1);
            elements += piece.length();
        }
        if (untouched) return 0;
        long changed = pieces.apply(made, tensor, from, piece.hostMemory);
        elementsChanged += changed;
        return changed;
    }

    /** Returns the norm of rows after unscaling; the next call overwrites it. */
    private ScaledNorm norm(int fromRow, int toRow) {
        ScaledNorm norm = gradients.total(fromRow, toRow);
        norm.multiply(rule.inverseScale());
        return norm;
    }

    /** The norm of a tensor before clipping, after unscaling; tensors are numbered in the order ended. */
    public double tensorNorm(int tensor) {
        Streamed ended = tensors.get(tensor);
        return norm(ended.firstRow(), ended.endRow()).value();
    }

    /** The norm of one row before clipping, after unscaling. */
    public double rowNorm(int tensor, int row) {
        int at = tensors.get(tensor).row(row);
        return norm(at, at + 1).value();
    }

    /**
     * The norm of a named group before clipping, after unscaling.
     *
     * @throws IllegalArgumentException if there is no such group
     */
    public double groupNorm(String group) {
        TensorRange range = ResolvedRule.group(group, tensors.groups());
        return norm(tensors.rowsBefore(range.from()), tensors.rowsBefore(range.to()))
                .value();
    }

    /** The coefficient of a tensor; NaN where each of its rows has a coefficient of its own. */
    public double tensorCoefficient(int tensor) {
        StreamedDecision made = requireDecided();
        return made.hasRowCoefficients(tensor) ? Double.NaN : rowCoefficient(tensor, 0);
    }

    /** The coefficient of a row. */
    public double rowCoefficient(int tensor, int row) {
        return requireDecided().rowCoefficient(tensors.get(tensor).row(row));
    }

    /** The number of a tensor's rows that {@link #apply} scales, unscaling aside; a tensor without rows is one. */
    public int clippedRows(int tensor) {
        return requireDecided().clippedRows(tensor);
    }

    /** The result of what has been found and done so far. */
    public ClipResult result() {
        StreamedDecision made = decision;
        Figures figures = new Figures();
        figures.globalNorm = globalNorm;
        figures.coefficient = made == null ? Double.NaN : made.coefficient();
        figures.clippedNorm = made == null ? Double.NaN : made.clips() ? made.clippedNorm() : globalNorm;
        if (Double.isNaN(figures.coefficient)) figures.clippedNorm = Double.NaN;
        figures.clipped = elementsChanged > 0 || (made != null && made.clips());
        figures.nonFinite = nonFinite;
        figures.skipped = untouched;
        figures.tensors = Math.max(applied, tensors.size());
        figures.elements = elements;
        figures.elementsChanged = elementsChanged;
        return new ClipResult(figures, null);
    }

    private void requireUndecided() {
        requireOpen();
        if (decision != null) {
            throw new IllegalStateException("decide was called; a new gradient needs a new StreamingClip");
        }
    }

    private StreamedDecision requireDecided() {
        requireOpen();
        if (decision == null) throw new IllegalStateException("call decide first");
        return decision;
    }

    private void requireOpen() {
        if (closed) throw new IllegalStateException("the StreamingClip is closed");
    }

    @Override
    public void close() {
        closed = true;
        gradients.close();
    }
}
