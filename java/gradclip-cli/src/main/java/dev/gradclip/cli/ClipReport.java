// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.ClipResult;
import dev.gradclip.NormType;
import dev.gradclip.cli.safetensors.Shown;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@code gradclip clip} says it did.
 *
 * @param backend name of the backend that worked
 * @param rule name of the rule
 * @param normType the norm limited, or null for a clamp
 * @param result of the clip
 * @param perTensor norms and coefficients, or null unless each tensor has its own
 * @param tensors how many floating-point tensors the file has
 * @param elements in them
 * @param skipped how many tensors were copied as they are
 */
record ClipReport(
        String backend,
        String rule,
        @Nullable NormType normType,
        ClipResult result,
        @Nullable List<TensorClip> perTensor,
        int tensors,
        long elements,
        int skipped) {
    /** One tensor's norm and what it was multiplied by. */
    record TensorClip(String name, double norm, double coefficient) {}

    void print(Terminal terminal, Format format) throws IOException {
        if (format == Format.JSON) json(terminal);
        else text(terminal);
    }

    private void json(Terminal terminal) throws IOException {
        try (JsonReport report = new JsonReport(terminal.out())) {
            JsonGenerator json = report.generator();
            json.writeStartObject();
            json.writeStringField("backend", backend);
            json.writeStringField("rule", rule);
            if (normType == null) {
                json.writeNullField("norm_type");
                json.writeNullField("total_norm");
            } else {
                json.writeStringField("norm_type", normType.toString());
                report.number("total_norm", result.totalNorm());
            }
            if (normType == null || perTensor != null) json.writeNullField("coefficient");
            else report.number("coefficient", result.coefficient());
            json.writeBooleanField("clipped", result.clipped());
            json.writeBooleanField("non_finite", result.nonFinite());
            json.writeNumberField("tensors", tensors);
            json.writeNumberField("elements", elements);
            json.writeNumberField("skipped", skipped);
            if (normType == null) json.writeNumberField("elements_changed", result.elementsChanged());
            if (perTensor != null) perTensorJson(report, perTensor);
            json.writeEndObject();
        }
    }

    private static void perTensorJson(JsonReport report, List<TensorClip> clips) throws IOException {
        JsonGenerator json = report.generator();
        json.writeArrayFieldStart("per_tensor");
        for (TensorClip clip : clips) {
            json.writeStartObject();
            json.writeStringField("name", clip.name());
            report.number("norm", clip.norm());
            report.number("coefficient", clip.coefficient());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private void text(Terminal terminal) {
        if (perTensor != null) perTensorText(terminal, perTensor);
        String what;
        if (normType == null) {
            what = Numbers.count(result.elementsChanged(), "element") + " changed";
        } else if (perTensor != null) {
            what = "norm over all " + Numbers.exact(result.totalNorm()) + " (type " + normType + ")";
        } else {
            what = "norm " + Numbers.exact(result.totalNorm()) + " (type " + normType + "), coefficient "
                    + Numbers.exact(result.coefficient());
        }
        terminal.out().println(rule + ": " + what + ", " + terminal.bold(result.clipped() ? "clipped" : "not clipped"));
        terminal.out()
                .println(Numbers.count(tensors, "tensor") + ", " + Numbers.count(elements, "element") + ", backend "
                        + backend + skippedText());
        if (result.nonFinite()) terminal.out().println("a gradient holds a NaN or an infinity");
    }

    private String skippedText() {
        return skipped == 0 ? "" : "; " + Numbers.count(skipped, "tensor") + " copied, not floating point";
    }

    private static void perTensorText(Terminal terminal, List<TensorClip> clips) {
        Table table = new Table(1, "name", "norm", "coefficient");
        for (TensorClip clip : clips) {
            table.add(
                    List.of(Shown.escaped(clip.name()), Numbers.brief(clip.norm()), Numbers.brief(clip.coefficient())));
        }
        table.lines().forEach(terminal.out()::println);
    }
}
