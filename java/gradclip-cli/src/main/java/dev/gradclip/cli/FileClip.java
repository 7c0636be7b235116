// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.ClipRule;
import dev.gradclip.DType;
import dev.gradclip.HostBuffer;
import dev.gradclip.NormRule;
import dev.gradclip.NormType;
import dev.gradclip.Scope;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.ClipReport.TensorClip;
import dev.gradclip.cli.safetensors.BadFileException;
import dev.gradclip.cli.safetensors.ElementType;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.safetensors.Shown;
import dev.gradclip.cli.safetensors.TensorEntry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Clips one file into another: a pass that measures where the rule needs it, then a pass that writes. */
final class FileClip {
    private final SafetensorsFile file;
    private final OutputTarget target;
    private final List<TensorEntry> clipped = new ArrayList<>();
    private long elements;

    /** @throws BadFileException if the file holds floating-point tensors that cannot be clipped */
    FileClip(SafetensorsFile file, OutputTarget target) throws BadFileException {
        this.file = file;
        this.target = target;
        for (TensorEntry tensor : file.header().tensors()) {
            if (tensor.type().use() == ElementType.Use.REFUSED) {
                throw new BadFileException(file.path() + ": tensor " + Shown.quoted(tensor.name()) + ": dtype "
                        + tensor.type() + " cannot be clipped, and copying it would leave a gradient unclipped");
            }
            if (tensor.type().dtype() != null) {
                clipped.add(tensor);
                elements += tensor.elements();
            }
        }
    }

    void run(StreamingClip clip, Progress progress) throws IOException {
        if (clip.needsMeasure()) measure(clip, progress);
        clip.decide();
        file.requireUnchanged();
        try (AtomicOutput output = AtomicOutput.create(target)) {
            write(clip, output, progress);
            file.requireUnchanged();
            output.commit();
        }
    }

    private void measure(StreamingClip clip, Progress progress) throws IOException {
        for (TensorEntry tensor : clipped) {
            DType dtype = dtype(tensor);
            file.forEachPiece(tensor, piece -> {
                clip.measure(HostBuffer.wrap(piece, dtype));
                progress.advance(piece.remaining());
            });
            clip.endTensor(tensor.name());
        }
    }

    private void write(StreamingClip clip, AtomicOutput output, Progress progress) throws IOException {
        output.write(ByteBuffer.wrap(file.header().bytes()));
        int index = 0;
        for (TensorEntry tensor : file.header().tensors()) {
            boolean floating = tensor.type().dtype() != null;
            int own = floating ? index++ : -1;
            file.forEachPiece(tensor, piece -> {
                if (floating) clip.apply(own, HostBuffer.wrap(piece, dtype(tensor)));
                progress.advance(piece.remaining());
                output.write(piece);
            });
        }
    }

    private static DType dtype(TensorEntry tensor) {
        DType dtype = tensor.type().dtype();
        if (dtype == null) throw new IllegalStateException(tensor.type() + " is not clipped");
        return dtype;
    }

    ClipReport report(StreamingClip clip, ClipRule rule, @Nullable NormType normType, String backend) {
        boolean own = rule instanceof NormRule norm && norm.scope() == Scope.TENSOR;
        return new ClipReport(
                backend,
                rule.name(),
                normType,
                clip.result(),
                own ? perTensor(clip) : null,
                clipped.size(),
                elements,
                file.header().tensors().size() - clipped.size());
    }

    private List<TensorClip> perTensor(StreamingClip clip) {
        List<TensorClip> result = new ArrayList<>(clipped.size());
        for (int i = 0; i < clipped.size(); i++) {
            result.add(new TensorClip(clipped.get(i).name(), clip.tensorNorm(i), clip.tensorCoefficient(i)));
        }
        return result;
    }
}
