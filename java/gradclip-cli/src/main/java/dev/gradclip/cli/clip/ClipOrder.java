// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.clip;

import dev.gradclip.ClipRule;
import dev.gradclip.NonFinitePolicy;
import dev.gradclip.cli.rules.ChosenRule;
import dev.gradclip.cli.rules.GroupChoice;
import dev.gradclip.cli.rules.RuleSelection;
import dev.gradclip.cli.safetensors.ElementType;
import dev.gradclip.cli.safetensors.Exclusion;
import dev.gradclip.cli.safetensors.TensorEntry;
import dev.gradclip.cli.safetensors.TensorFiles;
import dev.gradclip.cli.shell.BadFileException;
import dev.gradclip.cli.shell.Printable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The order in which floating-point tensors are measured: first those of no group, then group by group. */
final class ClipOrder {
    /**
     * A tensor in its place.
     *
     * @param entry as the header has it
     * @param group its place among the groups, -1 for none
     * @param rule what clips it, null for none
     * @param rows the leading dimension where its rows are clipped each for itself, else 1
     */
    record Place(TensorEntry entry, int group, @Nullable ClipRule rule, int rows) {
        boolean goesByRows() {
            return rule != null && ChosenRule.goesByRows(rule);
        }

        boolean needsParameter() {
            return rule != null && ChosenRule.needsParameters(rule);
        }
    }

    private final List<Place> places = new ArrayList<>();
    private final Map<String, Integer> indexes = new HashMap<>();
    private final int excluded;
    private final int skipped;
    private long elements;

    /**
     * @throws BadFileException if a tensor cannot be clipped, or none is in one of the groups or excluded by an option
     */
    ClipOrder(TensorFiles files, RuleSelection selection, Exclusion exclusion) throws BadFileException {
        List<TensorEntry> tensors = exclusion.rest(files);
        for (TensorEntry tensor : tensors) {
            int group = groupOf(tensor, selection.groups());
            ClipRule rule = selection.ruleOf(group);
            if (tensor.type().dtype() == null) {
                requireUntouched(files, tensor, rule, selection.rule());
                continue;
            }
            elements += tensor.elements();
            places.add(new Place(tensor, group, rule, rows(files, tensor, rule)));
        }
        places.sort(Comparator.comparingInt(Place::group));
        for (int i = 0; i < places.size(); i++)
            indexes.put(places.get(i).entry().name(), i);
        excluded = files.tensors().size() - tensors.size();
        skipped = tensors.size() - places.size();
        requireEachGroup(files, selection.groups());
    }

    /** Refuses a tensor whose dtype no rule is defined for, unless it stays as it is. */
    private static void requireUntouched(TensorFiles files, TensorEntry tensor, @Nullable ClipRule rule, ClipRule ofAll)
            throws BadFileException {
        if (tensor.type().use() != ElementType.Use.REFUSED || tensor.elements() == 0) return;
        boolean zeroes = ofAll.nonFinitePolicy() == NonFinitePolicy.ZERO;
        if (rule == null && !zeroes && ofAll.inverseScale() == 1) return;
        String why = rule != null
                ? "copying it would leave a gradient unclipped"
                : (zeroes ? "--non-finite zero" : "unscaling") + " is for tensors in no group too";
        throw new BadFileException(
                files.path() + ": tensor " + Printable.quoted(tensor.name()) + ": dtype " + tensor.type()
                        + " cannot be clipped, and " + why + "; --exclude REGEX leaves out what is no gradient");
    }

    private static int groupOf(TensorEntry tensor, List<GroupChoice> groups) throws BadFileException {
        for (int i = 0; i < groups.size(); i++) if (groups.get(i).matches(tensor.name())) return i;
        return -1;
    }

    /** Returns the rows of a tensor; a vector or a scalar is one row, as for Optax and timm. */
    private static int rows(TensorFiles files, TensorEntry tensor, @Nullable ClipRule rule) throws BadFileException {
        if (rule == null || !ChosenRule.goesByRows(rule)) return 1;
        if (tensor.shape().size() < 2 || tensor.elements() == 0) return 1;
        long rows = tensor.shape().get(0);
        if (rows <= Integer.MAX_VALUE) return (int) rows;
        throw new BadFileException(files.path() + ": tensor " + Printable.quoted(tensor.name()) + " has " + rows
                + " rows, above 2^31 - 1");
    }

    private void requireEachGroup(TensorFiles files, List<GroupChoice> groups) throws BadFileException {
        for (int i = 0; i < groups.size(); i++) {
            if (tensorsOf(i) > 0) continue;
            throw new BadFileException(files.path() + ": --group "
                    + Printable.quoted(groups.get(i).name()) + " matches the whole name of no tensor to clip that "
                    + (excluded > 0 ? "--exclude and earlier groups leave" : "an earlier group leaves")
                    + "; 'gradclip inspect' lists the names");
        }
    }

    List<Place> places() {
        return places;
    }

    /** The place of a tensor; -1 for one that is copied. */
    int indexOf(TensorEntry tensor) {
        return indexes.getOrDefault(tensor.name(), -1);
    }

    /** Returns the number of tensors that the user left out. */
    int excluded() {
        return excluded;
    }

    /** Returns the number of other tensors that are copied, of a dtype that no rule changes. */
    int skipped() {
        return skipped;
    }

    long elements() {
        return elements;
    }

    /** The first place of a group. */
    int firstOf(int group) {
        int first = 0;
        while (places.get(first).group() != group) first++;
        return first;
    }

    int tensorsOf(int group) {
        return (int) places.stream().filter(place -> place.group() == group).count();
    }
}
