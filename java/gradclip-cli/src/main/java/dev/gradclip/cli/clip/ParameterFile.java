// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.cli.safetensors.TensorEntry;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The weights that gradients are compared with, by the gradients' names. */
final class ParameterFile implements AutoCloseable {
    private final TensorFiles file;
    private final Map<String, TensorEntry> weights = new HashMap<>();

    private ParameterFile(TensorFiles file) {
        this.file = file;
        for (TensorEntry tensor : file.tensors()) weights.put(tensor.name(), tensor);
    }

    static ParameterFile open(Path path) throws IOException {
        return new ParameterFile(TensorFiles.open(path));
    }

    /**
     * The weights of a gradient, or null where there are none.
     *
     * @throws BadFileException if they have another shape, or are not floating point
     */
    @Nullable
    TensorEntry of(TensorEntry gradient) throws BadFileException {
        TensorEntry found = weights.get(gradient.name());
        if (found == null) return null;
        if (!found.shape().equals(gradient.shape())) {
            throw new BadFileException(where(found) + " has the shape " + Printable.shape(found.shape(), ", ")
                    + ", but its gradient has " + Printable.shape(gradient.shape(), ", "));
        }
        if (found.type().dtype() == null && found.elements() > 0) {
            throw new BadFileException(
                    where(found) + ": dtype " + found.type() + " has no norm here; F64, F32, F16 and BF16 have");
        }
        return found;
    }

    /** Counts the gradients of an order that should have weights here and have none; refuses a file without any. */
    int missing(ClipOrder order) throws BadFileException {
        int wanted = 0;
        int missing = 0;
        for (ClipOrder.Place place : order.places()) {
            if (!place.needsParameter()) continue;
            wanted++;
            if (of(place.entry()) == null) missing++;
        }
        if (wanted > 0 && missing == wanted) {
            throw new BadFileException(
                    file.path() + ": holds none of the tensors that the rule adaptive is to clip, such as "
                            + Printable.quoted(firstWanted(order)));
        }
        return missing;
    }

    private static String firstWanted(ClipOrder order) {
        for (ClipOrder.Place place : order.places())
            if (place.needsParameter()) return place.entry().name();
        return "";
    }

    private String where(TensorEntry tensor) {
        return file.path() + ": tensor " + Printable.quoted(tensor.name());
    }

    TensorFiles file() {
        return file;
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
