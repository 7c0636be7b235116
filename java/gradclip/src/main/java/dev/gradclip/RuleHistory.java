// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import dev.gradclip.internal.rule.HistoryForm;
import dev.gradclip.internal.rule.NamedHistories;
import dev.gradclip.internal.rule.ResolvedRule;
import dev.gradclip.internal.update.HistoryFile;
import dev.gradclip.internal.update.StateFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * What a clipper remembers for a rule with a {@link History}: one history for all tensors, or one for each group or
 * tensor, where the gradients are. A clipper that loads it goes on to the bit.
 *
 * <pre>{@code
 * clipper.history(ClipRule.zClip()).save(Path.of("clip.safetensors"));
 * // in another process
 * clipper.history(ClipRule.zClip()).load(Path.of("clip.safetensors"));
 * }</pre>
 */
public final class RuleHistory {
    private final GradientClipper clipper;
    private final ResolvedRule rule;

    RuleHistory(GradientClipper clipper, ResolvedRule rule) {
        this.clipper = clipper;
        this.rule = rule;
    }

    /**
     * The number of steps that moved the history, of the set of elements that had the most; steps that were not finite do
     * not count. On a device this waits for the latest call.
     */
    public long steps() {
        long most = 0;
        for (double[] history : clipper.histories(rule).values())
            most = Math.max(most, (long) history[HistoryForm.STEPS]);
        return most;
    }

    /**
     * The threshold of the latest step, where the rule has one norm over all tensors; infinity where nothing was limited.
     * On a device this waits for the latest call.
     *
     * @throws IllegalArgumentException if the rule has a norm for each of many: {@link #threshold(String)}
     */
    public double threshold() {
        return threshold(NamedHistories.ALL);
    }

    /**
     * The threshold that a tensor or a group had in the latest step.
     *
     * @throws IllegalArgumentException if the rule has no history for that name
     */
    public double threshold(String name) {
        Map<String, double[]> histories = clipper.histories(rule);
        double[] history = histories.get(name);
        if (history == null) {
            throw new IllegalArgumentException(
                    "the rule has no history for '" + name + "'; it has those of " + histories.keySet());
        }
        return history[HistoryForm.THRESHOLD];
    }

    /** The history as the bytes of a safetensors file. */
    public byte[] toBytes() {
        return HistoryFile.write(clipper.histories(rule));
    }

    /**
     * Takes a history of {@link #toBytes}; where it does not fit, the history stays as it was.
     *
     * @throws IOException if the bytes are no history of gradclip
     * @throws IllegalArgumentException naming a tensor or group that is missing, or whose history has other numbers than
     *     the rule
     */
    public void load(byte[] bytes) throws IOException {
        load(bytes, "the history");
    }

    private void load(byte[] bytes, String source) throws IOException {
        clipper.setHistories(rule, HistoryFile.read(bytes, source), source);
    }

    /**
     * Writes the history to a safetensors file, which is replaced at once when all is written: whoever is killed
     * meanwhile leaves the old one.
     *
     * @throws IOException if the file can't be written
     */
    public void save(Path file) throws IOException {
        byte[] bytes = toBytes();
        StateFile.replace(file, channel -> StateFile.write(channel, ByteBuffer.wrap(bytes)));
    }

    /**
     * Reads the history from a file of {@link #save}; where it does not fit, the history stays as it was.
     *
     * @throws IOException if the file can't be read or is no history of gradclip
     * @throws IllegalArgumentException naming a tensor or group that is missing, or whose history has other numbers than
     *     the rule
     */
    public void load(Path file) throws IOException {
        load(Files.readAllBytes(file), file.toString());
    }
}
