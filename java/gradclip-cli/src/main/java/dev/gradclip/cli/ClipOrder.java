// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import dev.gradclip.ClipRule;
import dev.gradclip.cli.safetensors.BadFileException;
import dev.gradclip.cli.safetensors.ElementType;
import dev.gradclip.cli.safetensors.SafetensorsFile;
import dev.gradclip.cli.safetensors.Shown;
import dev.gradclip.cli.safetensors.TensorEntry;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The floating-point tensors of a file as they are measured: in the order of the file those of no group, then group by group. */
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
    private long elements;

    /** @throws BadFileException if a tensor cannot be clipped, or no tensor is in one of the groups */
    ClipOrder(SafetensorsFile file, Selection selection) throws BadFileException {
        for (TensorEntry tensor : file.header().tensors()) {
            requireClippable(file, tensor);
            if (tensor.type().dtype() == null) continue;
            elements += tensor.elements();
            int group = groupOf(tensor, selection.groups());
            ClipRule rule = selection.ruleOf(group);
            places.add(new Place(tensor, group, rule, rows(file, tensor, rule)));
        }
        places.sort(Comparator.comparingInt(Place::group));
        for (int i = 0; i < places.size(); i++)
            indexes.put(places.get(i).entry().name(), i);
        requireEachGroup(file, selection.groups());
    }

    private static void requireClippable(SafetensorsFile file, TensorEntry tensor) throws BadFileException {
        if (tensor.type().use() != ElementType.Use.REFUSED) return;
        throw new BadFileException(file.path() + ": tensor " + Shown.quoted(tensor.name()) + ": dtype " + tensor.type()
                + " cannot be clipped, and copying it would leave a gradient unclipped");
    }

    private static int groupOf(TensorEntry tensor, List<GroupChoice> groups) throws BadFileException {
        for (int i = 0; i < groups.size(); i++) if (groups.get(i).matches(tensor.name())) return i;
        return -1;
    }

    /** A vector or a scalar is one row, as for Optax and timm. */
    private static int rows(SafetensorsFile file, TensorEntry tensor, @Nullable ClipRule rule) throws BadFileException {
        if (rule == null || !ChosenRule.goesByRows(rule)) return 1;
        if (tensor.shape().size() < 2 || tensor.elements() == 0) return 1;
        long rows = tensor.shape().get(0);
        if (rows <= Integer.MAX_VALUE) return (int) rows;
        throw new BadFileException(
                file.path() + ": tensor " + Shown.quoted(tensor.name()) + " has " + rows + " rows, above 2^31 - 1");
    }

    private void requireEachGroup(SafetensorsFile file, List<GroupChoice> groups) throws BadFileException {
        for (int i = 0; i < groups.size(); i++) {
            if (tensorsOf(i) > 0) continue;
            throw new BadFileException(
                    file.path() + ": --group " + Shown.quoted(groups.get(i).name())
                            + " matches the whole name of no tensor that an earlier group leaves; 'gradclip inspect' lists the names");
        }
    }

    List<Place> places() {
        return places;
    }

    /** The place of a tensor of the file; only of one that is clipped. */
    int indexOf(TensorEntry tensor) {
        Integer index = indexes.get(tensor.name());
        if (index == null) throw new IllegalStateException(tensor.name() + " is not clipped");
        return index;
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
        int count = 0;
        for (Place place : places) if (place.group() == group) count++;
        return count;
    }
}
