// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.Backend;
import dev.gradclip.CudaException;
import dev.gradclip.CudaFatalException;
import dev.gradclip.measure.Shape;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Times clips of device memory: what the device takes, and what the calling thread takes to enqueue one. */
@Command(name = "benchmarks/run gpu", mixinStandardHelpOptions = true, sortOptions = false)
public final class GpuReport implements Callable<Integer> {
    @Option(names = "--json", paramLabel = "FILE", description = "Also write every figure there.")
    private File json = new File("gpu.json");

    @Option(names = "--bytes", defaultValue = "1073741824", description = "Of a large case. Default: ${DEFAULT-VALUE}.")
    private long bytes;

    @Option(names = "--seconds", defaultValue = "0.5", description = "A measurement takes. Default: ${DEFAULT-VALUE}.")
    private double seconds;

    @Option(names = "--list", description = "Print the cases as JSON, for gpu/peers.py, and measure nothing.")
    private boolean list;

    /** Runs it. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new GpuReport()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        if (list) {
            GpuCases.write(GpuCases.all(bytes), System.out);
            return 0;
        }
        if (!Backend.CUDA.isAvailable()) {
            System.err.println("no CUDA device: " + Backend.CUDA.reason() + ". " + Backend.CUDA.remedy());
            return 1;
        }
        List<GpuSample> samples = new ArrayList<>();
        System.out.println("| case | what | device µs | least | GB/s | CPU µs a call |");
        System.out.println("|---|---|---|---|---|---|");
        for (Shape shape : GpuCases.all(bytes)) {
            measure(shape, samples);
            // What was measured is kept where the rest is cut short.
            write(samples);
        }
        return 0;
    }

    private void measure(Shape shape, List<GpuSample> samples) {
        try (GpuTensors tensors = new GpuTensors(shape)) {
            for (GpuTensors.Work work : GpuTensors.Work.values()) {
                if (work == GpuTensors.Work.BITES_ADAMW) tensors.addWeights(shape);
                GpuSample sample = GpuSample.of(shape, work, tensors, seconds);
                samples.add(sample);
                System.out.printf(
                        Locale.ROOT,
                        "| %s | %s | %.1f | %.1f | %.1f | %.2f |%n",
                        shape.name(),
                        work,
                        sample.micros(),
                        sample.least(),
                        sample.gigabytesPerSecond(),
                        sample.enqueueMicros());
            }
        } catch (CudaFatalException e) {
            throw e;
        } catch (CudaException e) {
            // A device that is too small for one case has the others still.
            System.out.println("| " + shape.name() + " | left out: " + e.getMessage() + " | | | | |");
        }
    }

    private void write(List<GpuSample> samples) throws IOException {
        try (JsonGenerator out = new JsonFactory().createGenerator(json, JsonEncoding.UTF8)) {
            out.useDefaultPrettyPrinter();
            out.writeStartObject();
            out.writeObjectFieldStart("device");
            for (Map.Entry<String, String> fact : Backend.CUDA.details().entrySet()) {
                out.writeStringField(fact.getKey(), fact.getValue());
            }
            out.writeEndObject();
            out.writeArrayFieldStart("results");
            for (GpuSample sample : samples) {
                out.writeStartObject();
                out.writeStringField("library", "gradclip");
                out.writeStringField("case", sample.shape());
                out.writeStringField("what", sample.what());
                out.writeNumberField("bytes", sample.bytes());
                out.writeNumberField("moved", sample.moved());
                out.writeNumberField("micros", sample.micros());
                out.writeNumberField("micros_least", sample.least());
                out.writeNumberField("enqueue_micros", sample.enqueueMicros());
                out.writeEndObject();
            }
            out.writeEndArray();
            out.writeEndObject();
        }
    }
}
