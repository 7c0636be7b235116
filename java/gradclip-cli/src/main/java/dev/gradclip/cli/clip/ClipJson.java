// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.gradclip.cli.clip.ClipReport.GroupClip;
import dev.gradclip.cli.clip.ClipReport.Rows;
import dev.gradclip.cli.clip.ClipReport.TensorClip;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A {@link ClipReport} as JSON. What a rule has not is null or left out, as docs/cli.md says. */
final class ClipJson {
    private final ClipReport clip;
    private final JsonReport report;
    private final JsonGenerator json;

    private ClipJson(ClipReport clip, JsonReport report) {
        this.clip = clip;
        this.report = report;
        json = report.generator();
    }

    static void print(ClipReport clip, Terminal terminal) throws IOException {
        try (JsonReport report = new JsonReport(terminal.out())) {
            new ClipJson(clip, report).write();
        }
    }

    private void write() throws IOException {
        RuleSelection selection = clip.selection();
        json.writeStartObject();
        json.writeStringField("backend", clip.backend());
        json.writeStringField("rule", selection.rule().name());
        if (selection.named() != null) parameters(report, selection.named().values());
        else if (selection.rule().inverseScale() != 1)
            report.number("inverse_scale", selection.rule().inverseScale());
        if (clip.measuresNorm()) {
            json.writeStringField("norm_type", String.valueOf(selection.normType()));
            report.number("total_norm", clip.result().globalNorm());
        } else {
            json.writeNullField("norm_type");
            json.writeNullField("total_norm");
        }
        if (clip.hasOneCoefficient()) report.number("coefficient", clip.result().coefficient());
        else json.writeNullField("coefficient");
        json.writeBooleanField("clipped", clip.result().clipped());
        json.writeBooleanField("non_finite", clip.result().nonFinite());
        json.writeNumberField("tensors", clip.tensors());
        json.writeNumberField("elements", clip.elements());
        json.writeNumberField("skipped", clip.skipped());
        if (clip.excluded() > 0) json.writeNumberField("excluded", clip.excluded());
        if (!clip.measuresNorm()) {
            json.writeNumberField("elements_changed", clip.result().elementsChanged());
        }
        rows(clip.rows());
        if (selection.needsParameters()) json.writeNumberField("without_parameter", clip.withoutParameter());
        if (!clip.groups().isEmpty()) groups();
        if (clip.perTensor() != null) perTensor(clip.perTensor());
        json.writeEndObject();
    }

    static void parameters(JsonReport report, Map<String, Object> values) throws IOException {
        report.generator().writeObjectFieldStart("parameters");
        for (Map.Entry<String, Object> value : values.entrySet()) {
            if (value.getValue() instanceof Double number) report.number(value.getKey(), number);
            else report.generator().writeStringField(value.getKey(), String.valueOf(value.getValue()));
        }
        report.generator().writeEndObject();
    }

    private void rows(@Nullable Rows rows) throws IOException {
        if (rows == null) return;
        json.writeNumberField("rows", rows.all());
        json.writeNumberField("rows_clipped", rows.clipped());
    }

    private void groups() throws IOException {
        json.writeNumberField("ungrouped", clip.ungrouped());
        json.writeArrayFieldStart("groups");
        for (GroupClip group : clip.groups()) {
            json.writeStartObject();
            json.writeStringField("group", group.choice().name());
            json.writeStringField("rule", group.choice().chosen().rule().name());
            parameters(report, group.choice().chosen().values());
            json.writeNumberField("tensors", group.tensors());
            if (clip.measuresNorm()) {
                report.number("norm", group.norm());
                if (group.hasCoefficient()) report.number("coefficient", group.coefficient());
                else json.writeNullField("coefficient");
            }
            rows(group.rows());
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private void perTensor(List<TensorClip> clips) throws IOException {
        json.writeArrayFieldStart("per_tensor");
        for (TensorClip tensor : clips) {
            json.writeStartObject();
            json.writeStringField("name", tensor.name());
            report.number("norm", tensor.norm());
            if (tensor.rows() == null) report.number("coefficient", tensor.coefficient());
            else rows(tensor.rows());
            json.writeEndObject();
        }
        json.writeEndArray();
    }
}
