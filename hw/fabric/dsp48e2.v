// Behavioural twin of AMD's DSP48E2 (UG579) for simulation: the modes that lacuna instantiates, nothing else.
// P = Z + W + (A[26:0] * B | (A[26:0] + D) * B | 0), Z = 0 or PCIN or P or C, W = 0 or RND; registers A/B 1 or 2
// (with the pre-adder A 1, D 1, AD 1), C/M/P/OPMODE 1.
// Anything else stops the simulation: a twin that guesses would hide a wrong attribute.
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off UNUSEDPARAM */
module DSP48E2 #(
    parameter AREG = 1,
    parameter BREG = 1,
    parameter CREG = 1,
    parameter DREG = 1,
    parameter ADREG = 1,
    parameter MREG = 1,
    parameter PREG = 1,
    parameter OPMODEREG = 1,
    parameter ALUMODEREG = 1,
    parameter INMODEREG = 1,
    parameter CARRYINREG = 1,
    parameter CARRYINSELREG = 1,
    parameter ACASCREG = 1,
    parameter BCASCREG = 1,
    parameter AMULTSEL = "A",
    parameter USE_MULT = "MULTIPLY",
    parameter USE_SIMD = "ONE48",
    parameter [47:0] RND = 48'h0
) (
    input CLK,
    input [29:0] A,
    input [17:0] B,
    input [47:0] C,
    input [26:0] D,
    input [47:0] PCIN,
    input [8:0] OPMODE,
    input [3:0] ALUMODE,
    input [4:0] INMODE,
    input CARRYIN,
    input [2:0] CARRYINSEL,
    input CEA1, input CEA2, input CEB1, input CEB2, input CEC, input CED, input CEAD, input CEM, input CEP,
    input CECTRL, input CEALUMODE, input CEINMODE, input CECARRYIN,
    input RSTA, input RSTB, input RSTC, input RSTD, input RSTM, input RSTP,
    input RSTCTRL, input RSTALUMODE, input RSTINMODE, input RSTALLCARRYIN,
    output reg [47:0] P,
    output [47:0] PCOUT
);
    reg signed [26:0] a1, a2;
    reg signed [17:0] b1, b2;
    reg signed [44:0] product;
    reg [47:0] c;
    reg [8:0] mode;
    reg signed [26:0] d, ad;
    wire signed [26:0] a = AMULTSEL == "AD" ? ad : AREG == 2 ? a2 : a1;
    wire signed [17:0] b = BREG == 2 ? b2 : b1;
    wire [47:0] x = mode[3:0] == 4'b0101 ? {{3{product[44]}}, product} : 48'h0;
    wire [47:0] z = mode[6:4] == 3'b001 ? PCIN : mode[6:4] == 3'b010 ? P : mode[6:4] == 3'b011 ? c : 48'h0;
    wire [47:0] w = mode[8:7] == 2'b10 ? RND : 48'h0;

    initial begin
        a1 = 0; a2 = 0; d = 0; ad = 0; b1 = 0; b2 = 0; product = 0; c = 0; mode = 0; P = 0;
        if (AREG < 1 || AREG > 2 || MREG != 1 || PREG != 1 || OPMODEREG != 1 || USE_SIMD != "ONE48"
            || BREG != (AMULTSEL == "AD" ? 2 : AREG) || (AMULTSEL == "AD" && AREG != 1) || USE_MULT != "MULTIPLY" || (AMULTSEL == "AD" && (INMODE != 5'b00100 || DREG != 1 || ADREG != 1))) begin
            $display("DSP48E2 twin: mode not modelled");
            $finish;
        end
    end

    always @(posedge CLK) begin
        if ((CEA1 && AREG == 2) || (CEA2 && AREG == 1)) a1 <= A[26:0];
        if ((CEB1 && BREG == 2) || (CEB2 && BREG == 1)) b1 <= B;
        if (CEA2) a2 <= a1;
        if (CEB2) b2 <= b1;
        if (AMULTSEL == "AD") begin
            if (CED) d <= D;
            if (CEAD) ad <= a1 + d;
        end
        if (CEC) c <= C;
        if (CEM) product <= a * b;
        if (CECTRL) mode <= OPMODE;
        if (CEP) P <= w + x + z;
    end
    assign PCOUT = P;
endmodule
