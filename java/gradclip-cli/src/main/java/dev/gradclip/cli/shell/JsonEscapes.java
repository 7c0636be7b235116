// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli.shell;

import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.io.CharacterEscapes;
import com.fasterxml.jackson.core.io.SerializedString;
import org.jspecify.annotations.Nullable;

/** Escapes in JSON whatever a report for people escapes, for people look at JSON too. */
final class JsonEscapes extends CharacterEscapes {
    private static final long serialVersionUID = 1;

    private final int[] ascii = CharacterEscapes.standardAsciiEscapesForJSON();

    JsonEscapes() {
        for (int c = 0; c < ascii.length; c++) {
            if (ascii[c] == ESCAPE_NONE && Printable.isUnsafe(c)) ascii[c] = ESCAPE_STANDARD;
        }
    }

    @Override
    public int[] getEscapeCodesForAscii() {
        return ascii;
    }

    /** Returns the escape of a character beyond ASCII; half a surrogate pair is escaped whatever the pair. */
    @Override
    public @Nullable SerializableString getEscapeSequence(int character) {
        return Printable.isUnsafe(character) ? new SerializedString(Printable.escape((char) character)) : null;
    }
}
