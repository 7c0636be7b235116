// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.DType;
import dev.gradclip.measure.Shape;
import dev.gradclip.measure.Shapes;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Locale;

/** The cases that are clipped on a device, as a list that {@code gpu/peers.py} reads. */
final class GpuCases {
    /** Less than this makes a quick trial of everything. */
    private static final long REAL = 1 << 30;

    private GpuCases() {}

    /**
     * Every shape; {@code bytes} is the size of the large ones without a name, and below 1 GiB the most of all others.
     */
    static List<Shape> all(long bytes) {
        long limit = bytes < REAL ? bytes : Long.MAX_VALUE;
        return List.of(
                titled("1 x f32", Shape.equal(DType.FLOAT32, 1, bytes / 4)),
                titled("1 x bf16", Shape.equal(DType.BFLOAT16, 1, bytes / 2)),
                // A fifth of 4 and four fifths of 2 bytes: 2.4 an element.
                new Shape("500 mixed", Shapes.mixed(bytes * 5 / 12)),
                titled("40 MB f32", Shape.equal(DType.FLOAT32, 1, Math.min(bytes, 40_000_000) / 4)),
                titled("1000 x 4", Shape.equal(DType.FLOAT32, 1000, 4)),
                titled("2000 x 512", Shape.equal(DType.FLOAT32, 2000, 512)),
                Shapes.RESNET50.of(DType.FLOAT32, limit),
                Shapes.NEMO_MIXED.of(DType.BFLOAT16, limit),
                Shapes.NEMO_EMBEDDING.of(DType.BFLOAT16, limit),
                Shapes.NEMO_MATRICES.of(DType.BFLOAT16, limit),
                Shapes.LLAMA8B.of(DType.BFLOAT16, limit));
    }

    private static Shape titled(String name, Shape shape) {
        return new Shape(name, shape.tensors());
    }

    /** A JSON array of objects with {@code name} and {@code tensors}, a list of pairs of type and length. */
    static void write(List<Shape> shapes, OutputStream out) throws IOException {
        try (JsonGenerator json = new JsonFactory().createGenerator(out)) {
            json.writeStartArray();
            for (Shape shape : shapes) {
                json.writeStartObject();
                json.writeStringField("name", shape.name());
                json.writeArrayFieldStart("tensors");
                for (Shape.Tensor tensor : shape.tensors()) {
                    json.writeStartArray();
                    json.writeString(tensor.dtype().name().toLowerCase(Locale.ROOT));
                    json.writeNumber(tensor.length());
                    json.writeEndArray();
                }
                json.writeEndArray();
                json.writeEndObject();
            }
            json.writeEndArray();
        }
    }
}
