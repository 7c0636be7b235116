// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.CpuPlan;
import dev.gradclip.internal.Cuda;
import dev.gradclip.internal.DevicePieces;
import dev.gradclip.internal.HostPieces;
import dev.gradclip.internal.NativeLibrary;
import dev.gradclip.internal.NormLimit;
import dev.gradclip.internal.Piece;
import dev.gradclip.internal.PieceWork;
import dev.gradclip.internal.ScaledNorm;
import dev.gradclip.internal.StreamedSums;
import dev.gradclip.internal.Team;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Clips gradients that pass through memory piece by piece, twice: measured first, then, once all are, changed. The same
 * bits as if everything had been bound to a {@link GradientClipper}.
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
 * <p>Pieces are in host memory; on the backend CUDA each is copied to the device and, where it changes, back.
 *
 * <p>Under {@link NonFinitePolicy#ZERO} both passes write zeros into the pieces that they are handed. One thread at a time.
 */
public final class StreamingClip implements AutoCloseable {
    private final ClipRule rule;
    private final NormType normType;
    private final PieceWork work;
    private final StreamedSums sums;
    private final List<String> names = new ArrayList<>();
    private final List<DType> dtypes = new ArrayList<>();
    private @Nullable DType dtype;
    private double[] coefficients = {};
    private int tensors;
    private long elements;
    private long elementsChanged;
    private double totalNorm = Double.NaN;
    private double coefficient = Double.NaN;
    private boolean clipped;
    private boolean nonFinite;
    private boolean untouched;
    private boolean decided;
    private boolean closed;

    private StreamingClip(ClipRule rule, PieceWork work) {
        this.rule = rule;
        this.work = work;
        normType = rule instanceof NormRule r ? r.normType() : NormType.INF;
        sums = new StreamedSums(normType, work);
    }

    /**
     * Starts with no tensor.
     *
     * @param threads 0 for {@link Backend#defaultThreads}
     * @throws BackendUnavailableException if the backend can't run here
     */
    public static StreamingClip of(ClipRule rule, Backend backend, int threads) {
        return new StreamingClip(Objects.requireNonNull(rule, "rule"), work(backend, threads));
    }

    static PieceWork work(Backend backend, int threads) {
        backend.require();
        if (threads < 0) throw new IllegalArgumentException("threads must be 1 or more, or 0, but is " + threads);
        if (backend == Backend.CUDA) return new DevicePieces(Cuda.currentDevice());
        Team team = Team.ofThreads(threads == 0 ? Team.defaultThreads() : threads);
        if (backend == Backend.JAVA) return new HostPieces(segments -> CpuPlan.java(segments, team));
        int level = NativeLibrary.instance().level();
        return new HostPieces(segments -> CpuPlan.nativeCpu(segments, team, level));
    }

    /** False for a value rule that heeds no non-finite elements: then {@link #decide} comes first and {@link #measure} never. */
    public boolean needsMeasure() {
        return !(rule instanceof ValueRule && rule.nonFinitePolicy() == NonFinitePolicy.PROPAGATE);
    }

    /**
     * Measures the next piece of the current tensor; each but its last is a multiple of 8 KiB.
     *
     * @throws IllegalArgumentException if a piece follows one that was not, or is of another type than the first
     */
    public void measure(HostBuffer piece) {
        requireDecided(false);
        if (rule.nonFinitePolicy() == NonFinitePolicy.ZERO) {
            requireWritable(piece);
            nonFinite |= zeroNonFinite(piece) > 0;
        }
        sums.add(piece.pieces);
        dtype = piece.dtype();
        elements += piece.length();
    }

    /** Ends the current tensor and returns its norm, 0 if it had no piece; the next piece begins another. */
    public double endTensor(String name) {
        requireDecided(false);
        names.add(name);
        dtypes.add(dtype == null ? DType.FLOAT64 : dtype);
        dtype = null;
        tensors++;
        return sums.endTensor();
    }

    /**
     * Decides what {@link #apply} will do, from all tensors ended.
     *
     * @throws NonFiniteGradientException under the policy ERROR, naming the first such tensor; {@link #apply} is then refused
     * @throws IllegalStateException if the last tensor has not ended
     */
    public ClipResult decide() {
        requireDecided(false);
        if (dtype != null) throw new IllegalStateException("call endTensor after the last tensor's last piece");
        ScaledNorm norm = sums.total();
        nonFinite |= !norm.isFinite();
        if (nonFinite && rule.nonFinitePolicy() == NonFinitePolicy.ERROR) throw nonFinite();
        decided = true;
        coefficients = new double[tensors];
        if (!needsMeasure()) return result();
        untouched = nonFinite && rule.nonFinitePolicy() == NonFinitePolicy.SKIP;
        if (rule instanceof ValueRule) return result();
        totalNorm = norm.value();
        NormRule r = (NormRule) rule;
        NormLimit limit = NormLimit.of(r);
        if (r.hasOneCoefficient()) {
            coefficient = untouched ? 1 : limit.coefficient(norm, elements, 0);
            Arrays.fill(coefficients, coefficient);
        } else {
            coefficient = untouched ? 1 : Double.NaN;
            for (int i = 0; i < tensors; i++) {
                coefficients[i] = untouched ? 1 : limit.coefficient(sums.norm(i), elements, 0);
            }
        }
        for (int i = 0; i < tensors; i++) clipped |= Coefficients.changes(coefficients[i], dtypes.get(i));
        return result();
    }

    private NonFiniteGradientException nonFinite() {
        for (int i = 0; i < tensors; i++) {
            if (!sums.norm(i).isFinite()) return new NonFiniteGradientException(names.get(i), tensorNorm(i));
        }
        throw new IllegalStateException("the total norm is not finite, but every tensor's is");
    }

    /**
     * Scales or clamps the next piece of a tensor, in place; pieces may come in any order and of any length.
     *
     * @return how many elements a value rule changed; 0 for norm rules
     * @throws IllegalStateException before {@link #decide}, or if the piece is read-only and may be written
     */
    public long apply(int tensor, HostBuffer piece) {
        requireDecided(true);
        if (!needsMeasure()) {
            tensors = Math.max(tensors, tensor + 1);
            elements += piece.length();
        }
        if (untouched) return 0;
        long changed = 0;
        if (rule instanceof ValueRule || rule.nonFinitePolicy() == NonFinitePolicy.ZERO) requireWritable(piece);
        if (rule.nonFinitePolicy() == NonFinitePolicy.ZERO) changed = zeroNonFinite(piece);
        if (rule instanceof ValueRule r) {
            // What was zeroed and then clamped away from 0 is counted once.
            if (r.min() > 0 || r.max() < 0) changed = 0;
            for (Piece part : piece.pieces) changed += work.clamp(part, r.min(), r.max());
            elementsChanged += changed;
            clipped |= changed > 0;
            return changed;
        }
        double c = coefficients[Objects.checkIndex(tensor, coefficients.length)];
        if (Coefficients.changes(c, piece.dtype())) {
            requireWritable(piece);
            for (Piece part : piece.pieces) work.scale(part, c);
        }
        return 0;
    }

    private long zeroNonFinite(HostBuffer piece) {
        long changed = 0;
        for (Piece part : piece.pieces) changed += work.zeroNonFinite(part);
        return changed;
    }

    /** The norm of a tensor before clipping, in the order ended. */
    public double tensorNorm(int tensor) {
        return sums.norm(Objects.checkIndex(tensor, names.size())).value();
    }

    /** What a tensor is multiplied by. */
    public double tensorCoefficient(int tensor) {
        requireDecided(true);
        return coefficients[Objects.checkIndex(tensor, coefficients.length)];
    }

    /** What has been found and done so far. */
    public ClipResult result() {
        return new ClipSnapshot(
                totalNorm, coefficient, clipped, nonFinite, tensors, elements, elementsChanged, null, 0);
    }

    private static void requireWritable(HostBuffer piece) {
        if (piece.isReadOnly())
            throw new IllegalStateException("the piece is read-only, and this rule may write to it");
    }

    private void requireDecided(boolean expected) {
        if (closed) throw new IllegalStateException("the StreamingClip is closed");
        if (decided != expected) {
            throw new IllegalStateException(
                    expected ? "call decide first" : "decide was called; a new gradient needs a new StreamingClip");
        }
    }

    @Override
    public void close() {
        closed = true;
        sums.close();
    }
}
