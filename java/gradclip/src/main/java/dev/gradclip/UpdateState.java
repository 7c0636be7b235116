// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.update.Progress;
import dev.gradclip.internal.update.StateFile;
import dev.gradclip.internal.update.UpdateMemory;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;

/**
 * The state of a clipper's updates: momentum buffers or Adam's averages, and the steps of each tensor. A clipper of the
 * same tensors that loads it goes on to the bit.
 *
 * <pre>{@code
 * clipper.state().save(Path.of("optimizer.safetensors"));
 * // in another process
 * clipper.state().load(Path.of("optimizer.safetensors"));
 * }</pre>
 */
public final class UpdateState {
    private final GradientClipper clipper;

    UpdateState(GradientClipper clipper) {
        this.clipper = clipper;
    }

    /** The number of updates that the tensor which had the most has had; 0 before the first. */
    public long steps() {
        return clipper.onUpdates(null, updates -> {
            long most = 0;
            if (updates == null) return most;
            Progress progress = updates.progress();
            for (int i = 0; i < clipper.names().size(); i++) most = Math.max(most, progress.steps(i));
            return most;
        });
    }

    /**
     * The number of updates that a tensor has had; one that is absent from a step does not count it.
     *
     * @throws IllegalArgumentException if there is no such tensor
     */
    public long steps(String tensor) {
        int at = clipper.names().indexOf(tensor);
        if (at < 0) throw new IllegalArgumentException("there is no tensor '" + tensor + "'");
        return clipper.onUpdates(
                null, updates -> updates == null ? 0 : updates.progress().steps(at));
    }

    /**
     * Writes the state to a safetensors file: for each tensor its state tensors by PyTorch's names ({@code
     * NAME.exp_avg}), its steps ({@code NAME.step}) and the products of its betas. The file is replaced at once when
     * all is written: whoever is killed meanwhile leaves the old one.
     *
     * @throws IOException if the file can't be written
     * @throws IllegalStateException if there is no state yet, or the clipper is closed or in use by another thread
     */
    public void save(Path file) throws IOException {
        List<String> names = clipper.names();
        IOException failed = clipper.onUpdates(null, updates -> {
            if (updates == null) throw new IllegalStateException("there is no state to save before the first step");
            try {
                StateFile.save(file, names, clipper::length, updates);
                return null;
            } catch (IOException e) {
                return e;
            }
        });
        if (failed != null) throw failed;
    }

    /**
     * Reads the state from a file of {@link #save}; where it does not fit, the state stays as it was.
     *
     * @throws IOException if the file can't be read or is no state of gradclip
     * @throws IllegalArgumentException naming a tensor that is missing, or has another length or type, or if the
     *     clipper has the state of another form of update
     * @throws IllegalStateException if the clipper is closed or in use by another thread
     */
    public void load(Path file) throws IOException {
        StateFile state = StateFile.open(file);
        List<String> names = clipper.names();
        IOException failed = clipper.onUpdates(state.form(), updates -> {
            try {
                state.load(names, clipper::length, updates);
                return null;
            } catch (IOException e) {
                return e;
            }
        });
        if (failed != null) throw failed;
    }

    /**
     * Copies the state of another clipper of the same tensors; nothing where that has had no step.
     *
     * @throws IllegalArgumentException naming a tensor that is missing there, or has another length or type, or if this
     *     clipper has the state of another form of update
     * @throws IllegalStateException if one of the clippers is closed or in use by another thread
     */
    public void copyFrom(UpdateState other) {
        other.clipper.onUpdates(null, from -> {
            if (from != null) {
                clipper.onUpdates(from.form(), to -> {
                    copy(other.clipper, from, to);
                    return true;
                });
            }
            return true;
        });
    }

    private void copy(GradientClipper other, UpdateMemory from, UpdateMemory to) {
        List<String> names = clipper.names();
        for (int i = 0; i < names.size(); i++) {
            int at = other.names().indexOf(names.get(i));
            if (at < 0
                    || other.length(at) != clipper.length(i)
                    || from.dtype(at) != to.dtype(i)
                    || from.slots(at) != to.slots(i)) {
                throw new IllegalArgumentException("the state of " + names.get(i)
                        + (at < 0
                                ? " is not there"
                                : " is " + other.length(at) + " elements of " + from.dtype(at) + " for weights of "
                                        + from.weightsType(at) + ", but it needs " + clipper.length(i) + " of "
                                        + to.dtype(i) + " for weights of " + to.weightsType(i)));
            }
        }
        Progress progress = from.progress();
        Progress own = to.progress();
        for (int i = 0; i < names.size(); i++) {
            int at = other.names().indexOf(names.get(i));
            for (int slot = 0; slot < to.slots(i); slot++) {
                List<ByteBuffer> target = to.read(slot, i);
                copy(from.read(slot, at), target);
                to.written(slot, i, target);
            }
            own.set(i, progress.steps(at), progress.power1(at), progress.power2(at));
        }
        to.progressSet();
    }

    /** Copies bytes that may be cut in other places; leaves the positions of the target as they were. */
    private static void copy(List<ByteBuffer> from, List<ByteBuffer> to) {
        int next = 0;
        for (ByteBuffer target : to) {
            ByteBuffer into = target.duplicate();
            while (into.hasRemaining()) {
                ByteBuffer source = from.get(next);
                int bytes = Math.min(source.remaining(), into.remaining());
                into.put(source.slice(source.position(), bytes));
                source.position(source.position() + bytes);
                if (!source.hasRemaining()) next++;
            }
        }
    }
}
