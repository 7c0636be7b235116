// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.NormRule;
import dev.gradclip.Scope;
import dev.gradclip.StreamingClip;
import dev.gradclip.cli.rules.ChosenRule;
import dev.gradclip.cli.rules.GroupChoice;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.shell.Format;
import dev.gradclip.cli.shell.Terminal;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The findings of {@code gradclip clip}.
 *
 * @param backend name of the backend that worked
 * @param selection what was chosen
 * @param result of the clip
 * @param perTensor norms and coefficients, or null unless each tensor, or each row, has its own
 * @param groups what each group was clipped by, or none
 * @param rows of all tensors whose rows are clipped each for itself; null where none is
 * @param withoutParameter how many tensors have no weights to be compared with
 * @param ungrouped how many tensors are in no group where there are groups
 * @param tensors how many floating-point tensors the file has
 * @param elements in them
 * @param skipped how many tensors were copied as they are, for their dtype
 * @param excluded how many the user left out
 */
record ClipReport(
        String backend,
        RuleSelection selection,
        ClipResult result,
        @Nullable List<TensorClip> perTensor,
        List<GroupClip> groups,
        @Nullable Rows rows,
        int withoutParameter,
        int ungrouped,
        int tensors,
        long elements,
        int skipped,
        int excluded) {
    /**
     * The number of rows, and of those that were scaled.
     *
     * @param all of them
     * @param clipped of them
     */
    record Rows(long all, long clipped) {}

    /**
     * One tensor's norm and its coefficient.
     *
     * @param name of the tensor
     * @param norm before clipping
     * @param coefficient NaN where rows have their own
     * @param rows null unless rows have their own
     */
    record TensorClip(
            String name,
            double norm,
            double coefficient,
            @Nullable Rows rows) {}

    /**
     * The findings of one group.
     *
     * @param choice its names and its rule
     * @param tensors in it
     * @param norm before clipping, NaN for a clamp
     * @param coefficient NaN where the group has not one
     * @param rows null unless rows have their own
     */
    record GroupClip(
            GroupChoice choice,
            int tensors,
            double norm,
            double coefficient,
            @Nullable Rows rows) {
        /** Tells if the group has one norm and one coefficient. */
        boolean hasCoefficient() {
            return hasOne(choice.chosen().rule());
        }
    }

    private static boolean hasOne(ClipRule rule) {
        return rule instanceof NormRule norm && norm.scope() == Scope.ALL;
    }

    static ClipReport of(
            StreamingClip clip, RuleSelection selection, ClipOrder order, String backend, int withoutParameter) {
        boolean own = selection.rule() instanceof NormRule && !hasOne(selection.rule());
        List<GroupClip> groups = new ArrayList<>();
        for (int i = 0; i < selection.groups().size(); i++) groups.add(group(clip, selection, order, i));
        return new ClipReport(
                backend,
                selection,
                clip.result(),
                own ? perTensor(clip, order) : null,
                groups,
                selection.goesByRows() ? rows(clip, order, 0, order.places().size()) : null,
                withoutParameter,
                groups.isEmpty() ? 0 : order.tensorsOf(-1),
                order.places().size(),
                order.elements(),
                order.skipped(),
                order.excluded());
    }

    private static List<TensorClip> perTensor(StreamingClip clip, ClipOrder order) {
        List<TensorClip> result = new ArrayList<>(order.places().size());
        for (int i = 0; i < order.places().size(); i++) {
            ClipOrder.Place place = order.places().get(i);
            Rows rows = place.goesByRows() ? rows(clip, order, i, i + 1) : null;
            result.add(new TensorClip(place.entry().name(), clip.tensorNorm(i), clip.tensorCoefficient(i), rows));
        }
        return result;
    }

    private static GroupClip group(StreamingClip clip, RuleSelection selection, ClipOrder order, int index) {
        GroupChoice choice = selection.groups().get(index);
        ClipRule rule = choice.chosen().rule();
        int first = order.firstOf(index);
        int count = order.tensorsOf(index);
        return new GroupClip(
                choice,
                count,
                rule instanceof NormRule ? clip.groupNorm(choice.name()) : Double.NaN,
                hasOne(rule) ? clip.tensorCoefficient(first) : Double.NaN,
                ChosenRule.goesByRows(rule) ? rows(clip, order, first, first + count) : null);
    }

    /** Counts the rows of some places, of tensors that are clipped by rows. */
    private static Rows rows(StreamingClip clip, ClipOrder order, int from, int to) {
        long all = 0;
        long clipped = 0;
        for (int i = from; i < to; i++) {
            if (!order.places().get(i).goesByRows()) continue;
            all += order.places().get(i).rows();
            clipped += clip.clippedRows(i);
        }
        return new Rows(all, clipped);
    }

    boolean measuresNorm() {
        return selection.normType() != null;
    }

    /** Tells if all tensors have one coefficient. */
    boolean hasOneCoefficient() {
        return hasOne(selection.rule());
    }

    void print(Terminal terminal, Format format) throws IOException {
        if (format == Format.JSON) ClipJson.print(this, terminal);
        else ClipText.print(this, terminal);
    }
}
