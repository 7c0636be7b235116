// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.cli.clip.ClipReport.GroupClip;
import dev.gradclip.cli.clip.ClipReport.Rows;
import dev.gradclip.cli.clip.ClipReport.TensorClip;
import dev.gradclip.cli.rules.ChosenRule;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.shell.JsonReport;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Prints a {@link ClipReport} as JSON; a field that its rule lacks is null or left out, as docs/cli.md says. */
final class ClipJson {
    private ClipJson() {}

    static void print(ClipReport clip, Terminal terminal) throws IOException {
        RuleSelection selection = clip.selection();
        ClipRule rule = selection.rule();
        ChosenRule named = selection.named();
        ClipResult result = clip.result();
        List<TensorClip> perTensor = clip.perTensor();
        boolean measuresNorm = clip.measuresNorm();
        try (JsonReport json = new JsonReport(terminal.out())) {
            json.put("backend", clip.backend());
            json.put("rule", rule.name());
            if (named != null) parameters(json, named);
            else if (rule.inverseScale() != 1) json.put("inverse_scale", rule.inverseScale());
            json.put("norm_type", measuresNorm ? String.valueOf(selection.normType()) : null);
            json.put("total_norm", measuresNorm ? (Double) result.globalNorm() : null);
            json.put("coefficient", clip.hasOneCoefficient() ? (Double) result.coefficient() : null);
            json.put("clipped", result.clipped());
            json.put("non_finite", result.nonFinite());
            if (selection.hasHistory()) json.put("step_skipped", result.skipped());
            json.put("tensors", clip.tensors());
            json.put("elements", clip.elements());
            json.put("skipped", clip.skipped());
            if (clip.excluded() > 0) json.put("excluded", clip.excluded());
            if (!measuresNorm) json.put("elements_changed", result.elementsChanged());
            rows(json, clip.rows());
            if (selection.needsParameters()) json.put("without_parameter", clip.withoutParameter());
            if (!clip.groups().isEmpty()) {
                json.put("ungrouped", clip.ungrouped());
                json.objects("groups", clip.groups(), group -> group(json, group, measuresNorm));
            }
            if (perTensor != null) json.objects("per_tensor", perTensor, tensor -> tensor(json, tensor));
        }
    }

    private static void parameters(JsonReport json, ChosenRule rule) throws IOException {
        json.object("parameters", () -> {
            for (Map.Entry<String, Object> value : rule.values().entrySet()) {
                if (value.getValue() instanceof Double number) json.put(value.getKey(), number);
                else json.put(value.getKey(), String.valueOf(value.getValue()));
            }
        });
    }

    private static void rows(JsonReport json, @Nullable Rows rows) throws IOException {
        if (rows == null) return;
        json.put("rows", rows.all());
        json.put("rows_clipped", rows.clipped());
    }

    private static void group(JsonReport json, GroupClip group, boolean measuresNorm) throws IOException {
        ChosenRule chosen = group.choice().chosen();
        json.put("group", group.choice().name());
        json.put("rule", chosen.rule().name());
        parameters(json, chosen);
        json.put("tensors", group.tensors());
        if (measuresNorm) {
            json.put("norm", group.norm());
            json.put("coefficient", group.hasCoefficient() ? (Double) group.coefficient() : null);
        }
        rows(json, group.rows());
    }

    private static void tensor(JsonReport json, TensorClip tensor) throws IOException {
        json.put("name", tensor.name());
        json.put("norm", tensor.norm());
        if (tensor.rows() == null) json.put("coefficient", tensor.coefficient());
        rows(json, tensor.rows());
    }
}
