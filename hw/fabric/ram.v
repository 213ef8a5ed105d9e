// Block or ultra RAM with one write and one read port, for depths at which Amaranth's memory would print a line of
// initial content a row. Reading a row in the cycle that writes it gives anything. No content at power-up.
module lacuna_ram #(
    parameter integer WIDTH = 32,   // bits of a row, a multiple of PARTS
    parameter integer DEPTH = 2,
    parameter integer PARTS = 1,    // parts of a row that can be written alone
    parameter integer ADDRESS_BITS = 1
) (
    input clk,
    input [PARTS-1:0] write_enable,
    input [ADDRESS_BITS-1:0] write_address,
    input [WIDTH-1:0] write_data,
    input read_enable,
    input [ADDRESS_BITS-1:0] read_address,
    output reg [WIDTH-1:0] read_data
);
    localparam PART = WIDTH / PARTS;
    reg [WIDTH-1:0] rows [0:DEPTH-1];
    integer part;

    always @(posedge clk) begin
        for (part = 0; part < PARTS; part = part + 1)
            if (write_enable[part]) rows[write_address][part*PART +: PART] <= write_data[part*PART +: PART];
        if (read_enable) read_data <= rows[read_address];
    end
endmodule
