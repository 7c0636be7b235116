// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.io.SerializedString;
import dev.gradclip.cli.safetensors.Shown;
import org.jspecify.annotations.Nullable;

/** What JSON escapes beside what it must: whatever a report for people escapes, for people look at JSON too. */
final class JsonEscapes extends CharacterEscapes {
    private static final long serialVersionUID = 1;

    private final int[] ascii = CharacterEscapes.standardAsciiEscapesForJSON();

    JsonEscapes() {
        for (int c = 0; c < ascii.length; c++) {
            if (ascii[c] == ESCAPE_NONE && Shown.isUnsafe(c)) ascii[c] = ESCAPE_STANDARD;
        }
    }

    @Override
    public int[] getEscapeCodesForAscii() {
        return ascii;
    }

    /** Of a character that is not ASCII; half a surrogate pair is escaped whatever the pair. */
    @Override
    public @Nullable SerializableString getEscapeSequence(int character) {
        return Shown.isUnsafe(character) ? new SerializedString(Shown.escape((char) character)) : null;
    }
}
