// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.internal.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.DType;
import dev.gradclip.internal.memory.Piece;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Finds the row that a tile belongs to, among rows that have no tile. */
class CpuPlanMemoryTest {
    private static CpuPlanMemory memory(int... lengths) {
        List<List<Piece>> segments = new ArrayList<>();
        for (int length : lengths) {
            segments.add(List.of(Piece.ofArray(DType.FLOAT32, new float[length], 0, length)));
        }
        return new CpuPlanMemory(segments, false);
    }

    @Test
    void emptyRowsNeverHoldATile() {
        CpuPlanMemory memory = memory(0, 0, 2048, 0, 1, 0, 0, 4097, 0);
        assertEquals(5, memory.tiles);
        int[] rows = {2, 4, 7, 7, 7};
        for (int tile = 0; tile < rows.length; tile++) assertEquals(rows[tile], memory.pieceOf(tile));
    }

    @Test
    void randomRows() {
        Random random = new Random(2);
        for (int round = 0; round < 300; round++) {
            int[] lengths = new int[1 + random.nextInt(40)];
            for (int i = 0; i < lengths.length; i++) lengths[i] = random.nextBoolean() ? 0 : random.nextInt(9000);
            CpuPlanMemory memory = memory(lengths);
            long tile = 0;
            for (int row = 0; row < lengths.length; row++) {
                assertEquals(tile, memory.firstTile[row]);
                for (int i = 0; i < lengths[row]; i += 2048) assertEquals(row, memory.pieceOf(tile++));
            }
            assertEquals(tile, memory.tiles);
        }
    }

    @Test
    void onlyEmptyRowsAndNoRows() {
        assertEquals(0, memory().tiles);
        assertEquals(0, memory(0, 0, 0).tiles);
        assertEquals(0, memory(0).planeStride);
    }

    @Test
    void planesAreThereForFloat64Alone() {
        assertEquals(0, memory(5000).planeStride);
        Piece piece = Piece.ofArray(DType.FLOAT64, new double[5000], 0, 5000);
        CpuPlanMemory memory = new CpuPlanMemory(List.of(List.of(piece)), false);
        assertEquals(5, memory.planeStride);
        assertTrue(memory.partials.capacity() >= 15);
    }
}
