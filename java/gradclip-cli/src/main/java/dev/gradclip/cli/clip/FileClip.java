// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.DType;
import dev.gradclip.HostBuffer;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.safetensors.TensorEntry;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.AtomicOutput;
import dev.gradclip.cli.shell.BadFileException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** Clips files into others: a pass that measures where the rule needs it, then a pass that writes. */
final class FileClip {
    private final TensorFiles files;
    private final @Nullable ParameterFile parameters;
    private final ClipOutput output;
    private final RuleSelection selection;
    private final ClipOrder order;
    private final int withoutParameter;

    /** The position in its tensor, in elements, of the piece that is written next. */
    private long written;

    /** @throws BadFileException if the files hold tensors that cannot be clipped, or none of a group or with weights */
    FileClip(
            TensorFiles files,
            @Nullable ParameterFile parameters,
            ClipOutput output,
            RuleSelection selection,
            Exclusion exclusion)
            throws BadFileException {
        this.files = files;
        this.parameters = parameters;
        this.output = output;
        this.selection = selection;
        order = new ClipOrder(files, selection, exclusion);
        withoutParameter = parameters == null ? 0 : parameters.missing(order);
    }

    /** @param progress is told of the bytes of each piece, once it is measured and again before it is written */
    void run(StreamingClip clip, LongConsumer progress) throws IOException {
        measure(clip, progress);
        clip.decide();
        files.requireUnchanged();
        if (parameters != null) parameters.file().requireUnchanged();
        output.write(files, (file, to) -> write(clip, file, to, progress));
    }

    private void measure(StreamingClip clip, LongConsumer progress) throws IOException {
        int group = -1;
        for (ClipOrder.Place place : order.places()) {
            while (group < place.group())
                clip.group(selection.groups().get(++group).name());
            if (clip.needsMeasure()) measure(clip, place, progress);
            clip.endTensor(place.entry().name());
        }
    }

    private void measure(StreamingClip clip, ClipOrder.Place place, LongConsumer progress) throws IOException {
        TensorEntry tensor = place.entry();
        DType dtype = dtype(tensor);
        clip.rows(place.rows(), tensor.elements() / place.rows());
        files.forEachPiece(tensor, place.rows(), piece -> {
            clip.measure(HostBuffer.wrap(piece, dtype));
            progress.accept(piece.remaining());
        });
        TensorEntry weights = parameters == null || !place.needsParameter() ? null : parameters.of(tensor);
        if (parameters == null || weights == null) return;
        // An empty tensor has no piece, and yet has weights.
        clip.measureWeights(HostBuffer.wrap(new float[0]));
        parameters
                .file()
                .forEachPiece(
                        weights, place.rows(), piece -> clip.measureWeights(HostBuffer.wrap(piece, dtype(weights))));
    }

    private void write(StreamingClip clip, SafetensorsFile file, AtomicOutput to, LongConsumer progress)
            throws IOException {
        to.write(ByteBuffer.wrap(file.header().bytes()));
        for (TensorEntry tensor : file.header().tensors()) {
            int index = order.indexOf(tensor);
            written = 0;
            file.forEachPiece(tensor, piece -> {
                if (index >= 0) {
                    HostBuffer buffer = HostBuffer.wrap(piece, dtype(tensor));
                    clip.apply(index, written, buffer);
                    written += buffer.length();
                }
                progress.accept(piece.remaining());
                to.write(piece);
            });
        }
    }

    private static DType dtype(TensorEntry tensor) {
        DType dtype = tensor.type().dtype();
        if (dtype == null) throw new IllegalStateException(tensor.type() + " is not clipped");
        return dtype;
    }

    ClipReport report(StreamingClip clip, String backend) {
        return ClipReport.of(clip, selection, order, backend, withoutParameter);
    }
}
